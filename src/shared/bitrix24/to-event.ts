import type { Delivery } from '../delivery.js';
import { type BitrixEvent, isKnownEventName, type Issue, type KnownEventName, type KnownPayload } from './event.js';
import { parsePayload } from './payload-schemas.js';

export type EventResult =
  { readonly ok: true; readonly event: BitrixEvent } | { readonly ok: false; readonly issues: readonly Issue[] };

export type DeliveredEvent = Pick<Delivery, 'name' | 'handlerId' | 'ts' | 'auth' | 'body'>;

/**
 * What a delivery tells, for the worker. A payload that the ingress has typed is taken at its word. Data in quarantine is
 * parsed once more, so that a retry after a fix of its schema goes through; so is an open payload whose event has got a
 * schema since, in a worker that is newer than the ingress.
 */
export function toBitrixEvent(delivery: DeliveredEvent): EventResult {
  const { name, body } = delivery;
  const payload = body.state === 'quarantined' ? body.data : body.payload;
  if (!isKnownEventName(name)) return { ok: true, event: { kind: 'OTHER', name, ...envelopeOf(delivery), payload } };
  // The ingress has parsed it by the schema of this name.
  if (body.state === 'typed') return { ok: true, event: knownEvent(name, delivery, payload as KnownPayload) };
  const result = parsePayload(name, payload);
  return result.ok ? { ok: true, event: knownEvent(name, delivery, result.payload) } : result;
}

function envelopeOf({ handlerId, ts, auth }: DeliveredEvent): Pick<BitrixEvent, 'handlerId' | 'ts' | 'auth'> {
  return { handlerId, ts, auth };
}

function knownEvent(name: KnownEventName, delivery: DeliveredEvent, payload: KnownPayload): BitrixEvent {
  // The compiler cannot see that name and payload belong together; `parsePayload` chose the one by the other.
  return { kind: name, name, ...envelopeOf(delivery), payload } as BitrixEvent;
}
