import { randomUUID } from 'node:crypto';
import { eventIdOf } from '../shared/bitrix24/event-id.js';
import type { ParsedEnvelope } from '../shared/bitrix24/parse-event.js';
import type { Config } from '../shared/config.js';
import { DELIVERY_VERSION, toRecord, type Delivery } from '../shared/delivery.js';
import { sealSecrets } from '../shared/delivery-seal.js';
import type { Logger } from '../shared/logger.js';
import type { Sealer } from '../shared/sealer.js';
import type { SpanAttributes, Tracing } from '../shared/tracing/tracing.js';
import { HttpError } from './http-error.js';
import type { IntakeMetrics } from './ingress-metrics.js';

/** A delivery whose length is not known yet. */
export type NewDelivery = Omit<Delivery, 'bytes'>;

/**
 * Resolves when the record is on disk: only then may an answer say that it was accepted.
 *
 * @param arrivedAtMs of the request, by `performance.now()`.
 * @throws {HttpError} storage_unavailable, body_too_large
 */
export type KeepDelivery = (delivery: NewDelivery, arrivedAtMs: number) => Promise<void>;

export interface KeepDeliveryDeps {
  readonly config: Pick<Config, 'bodyBytesMax'>;
  readonly journals: { append(text: string): Promise<void> };
  readonly logger: Logger;
  readonly metrics: Pick<IntakeMetrics, 'kept'>;
  readonly tracing: Tracing;
}

/** A record may be longer than its body, by this much: names are put in place of brackets, secrets are sealed in base64. */
const RECORD_SHARE_MAX = 4;

export function createKeepDelivery(deps: KeepDeliveryDeps): KeepDelivery {
  const { config, journals, logger, metrics, tracing } = deps;
  return async (delivery, arrivedAtMs) => {
    const { name: eventName, body } = delivery;
    tracing.note(spanAttributes(delivery));
    const trace = tracing.carry();
    const record = toRecord(trace === undefined ? delivery : { ...delivery, trace });
    if (record.length > config.bodyBytesMax * RECORD_SHARE_MAX) throw new HttpError('body_too_large', { eventName });
    try {
      await tracing.inSpan({ name: 'journal', kind: 'internal' }, () => journals.append(record));
    } catch (cause) {
      throw new HttpError('storage_unavailable', { eventName, cause });
    }
    const durationMs = performance.now() - arrivedAtMs;
    metrics.kept(eventName, body.state === 'quarantined' ? 'quarantined' : 'accepted', durationMs);
    log(logger, delivery, durationMs);
  };
}

/** A new delivery of what was parsed: an id of its own, the id of the event, and all that is secret in one seal. */
export function toDelivery(
  { config, sealer }: { readonly config: Pick<Config, 'dedupBy'>; readonly sealer: Sealer },
  envelope: ParsedEnvelope,
  receivedAtMs: number,
): NewDelivery {
  const { name, handlerId, ts, auth, body, secrets, fingerprint } = envelope;
  const id = randomUUID();
  const eventId = eventIdOf({ memberId: auth.memberId, name, handlerId, ts, fingerprint }, config.dedupBy);
  const seal = sealSecrets(sealer, secrets, { id, auth });
  return { v: DELIVERY_VERSION, id, eventId, receivedAtMs, name, handlerId, ts, auth, body, seal };
}

export function acceptance({ id, body }: NewDelivery): Readonly<Record<string, unknown>> {
  return body.state === 'quarantined' ? { status: 'quarantined', id, issues: body.issues } : { status: 'accepted', id };
}

function spanAttributes({ id, eventId, name, auth }: NewDelivery): SpanAttributes {
  return {
    'b24.delivery_id': id,
    'b24.event_id': eventId,
    'b24.event_name': name,
    'b24.member_id': auth.memberId,
  };
}

function log(logger: Logger, delivery: NewDelivery, tookMs: number): void {
  const { id: deliveryId, eventId, name: eventName, auth, body } = delivery;
  const isQuarantined = body.state === 'quarantined';
  const what = isQuarantined ? 'quarantined' : 'accepted';
  const code = isQuarantined ? { code: 'DATA_INVALID' } : {};
  const durationMs = Math.round(tookMs);
  logger.info(
    { event: `delivery.${what}`, deliveryId, eventId, eventName, memberId: auth.memberId, durationMs, ...code },
    what,
  );
}
