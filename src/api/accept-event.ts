import { randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { eventIdOf } from '../shared/bitrix24/event-id.js';
import { parseEnvelope, type ParsedEnvelope } from '../shared/bitrix24/parse-event.js';
import type { Config } from '../shared/config.js';
import { DELIVERY_VERSION, toRecord, type Delivery } from '../shared/delivery.js';
import type { Logger } from '../shared/logger.js';
import type { Sealer } from '../shared/sealer.js';
import { sealSecrets } from '../shared/delivery-seal.js';
import { decodeForm, decodeJson } from './decode-body.js';
import { answer } from './http-answer.js';
import { HttpError } from './http-error.js';
import { InFlightBytes, type InFlightShare } from './in-flight-bytes.js';
import { readBody } from './read-body.js';
import { formatOf, type BodyFormat } from './request-checks.js';
import type { SenderList } from './sender-list.js';

export interface AcceptEventDeps {
  readonly config: Pick<Config, 'bodyBytesMax' | 'bodyDepthMax' | 'bodyParametersMax' | 'dedupBy'>;
  readonly senders: Pick<SenderList, 'isAllowed'>;
  readonly journals: { append(text: string): Promise<void> };
  readonly sealer: Sealer;
  readonly logger: Logger;
  readonly inFlightBytesMax?: number;
}

/** Of all requests that are being read or wait for the disk. */
const IN_FLIGHT_BYTES_MAX = 64 * 1_048_576;

/** A record may be longer than its body, by this much: names are put in place of brackets, secrets are sealed in base64. */
const RECORD_SHARE_MAX = 4;

type Accepted = Omit<Delivery, 'bytes'>;

/**
 * Takes one POST: checks it from the cheapest to the dearest, decodes, parses, seals, and answers 200 only after the record is
 * on disk. Whatever is wrong is thrown, and answered by the server's one error handler.
 */
export function createAcceptEvent(deps: AcceptEventDeps): (request: Request, response: Response) => Promise<void> {
  const inFlight = new InFlightBytes(deps.inFlightBytesMax ?? IN_FLIGHT_BYTES_MAX);
  return async (request, response) => {
    const receivedAtMs = Date.now();
    const format = check(deps, request);
    const share = inFlight.open();
    try {
      const body = await receive({ deps, request, response, share });
      const envelope = parse(deps, format, body);
      const delivery = toDelivery(deps, envelope, receivedAtMs);
      const record = toRecord(delivery);
      if (record.length > deps.config.bodyBytesMax * RECORD_SHARE_MAX) throw new HttpError('body_too_large');
      await deps.journals.append(record);
      answer(response, { status: 200, body: acceptance(delivery) });
      log(deps.logger, delivery);
    } finally {
      share.release();
    }
  };
}

function check({ senders, config }: AcceptEventDeps, request: Request): BodyFormat {
  if (!senders.isAllowed(request.ip)) throw new HttpError('sender_not_allowed');
  if (request.method !== 'POST') throw new HttpError('method_not_allowed');
  return formatOf(request, config.bodyBytesMax);
}

interface Receiving {
  readonly deps: AcceptEventDeps;
  readonly request: Request;
  readonly response: Response;
  readonly share: InFlightShare;
}

async function receive({ deps, request, response, share }: Receiving): Promise<Buffer> {
  // Only now, so that a sender who asks first need not send a body that is refused.
  if (/^100-continue$/i.test(request.headers.expect ?? '')) response.writeContinue();
  return readBody(request, { bytesMax: deps.config.bodyBytesMax, share });
}

function parse({ config }: AcceptEventDeps, format: BodyFormat, body: Buffer): ParsedEnvelope {
  const bounds = { depthMax: config.bodyDepthMax, parametersMax: config.bodyParametersMax };
  const decoded = format === 'form' ? decodeForm(body, bounds) : decodeJson(body, bounds);
  if (!decoded.ok) throw new HttpError('invalid_body', { issues: decoded.issues });
  const parsed = parseEnvelope(decoded.value);
  if (!parsed.ok) throw new HttpError('invalid_event', { issues: parsed.issues });
  return parsed.envelope;
}

function toDelivery({ config, sealer }: AcceptEventDeps, envelope: ParsedEnvelope, receivedAtMs: number): Accepted {
  const { name, handlerId, ts, auth, body, secrets, fingerprint } = envelope;
  const id = randomUUID();
  const eventId = eventIdOf({ memberId: auth.memberId, name, handlerId, ts, fingerprint }, config.dedupBy);
  const seal = sealSecrets(sealer, secrets, { id, auth });
  return { v: DELIVERY_VERSION, id, eventId, receivedAtMs, name, handlerId, ts, auth, body, seal };
}

function acceptance({ id, body }: Accepted): Readonly<Record<string, unknown>> {
  return body.state === 'quarantined' ? { status: 'quarantined', id, issues: body.issues } : { status: 'accepted', id };
}

function log(logger: Logger, delivery: Accepted): void {
  const { id: deliveryId, eventId, name: eventName, auth, body, receivedAtMs } = delivery;
  const isQuarantined = body.state === 'quarantined';
  const what = isQuarantined ? 'quarantined' : 'accepted';
  const code = isQuarantined ? { code: 'DATA_INVALID' } : {};
  const durationMs = Date.now() - receivedAtMs;
  logger.info(
    { event: `delivery.${what}`, deliveryId, eventId, eventName, memberId: auth.memberId, durationMs, ...code },
    what,
  );
}
