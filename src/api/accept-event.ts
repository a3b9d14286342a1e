import type { Request, Response } from 'express';
import { parseEnvelope, type ParsedEnvelope } from '../shared/bitrix24/parse-event.js';
import type { Config } from '../shared/config.js';
import { INCOMING_PREFIX } from '../shared/delivery.js';
import type { Sealer } from '../shared/sealer.js';
import { answer } from './http-answer.js';
import { HttpError } from './http-error.js';
import { acceptance, toDelivery, type KeepDelivery } from './keep-delivery.js';
import { decodeBody, type ReceiveBody, type ReceivedBody } from './receive-body.js';
import { requirePost } from './request-checks.js';
import type { SenderList } from './sender-list.js';

export interface AcceptEventDeps {
  readonly config: Pick<Config, 'bodyDepthMax' | 'bodyParametersMax' | 'dedupBy'>;
  readonly senders: Pick<SenderList, 'isAllowed'>;
  readonly sealer: Sealer;
  readonly receiveBody: ReceiveBody;
  readonly keepDelivery: KeepDelivery;
}

/**
 * Takes one POST: checks it from the cheapest to the dearest, decodes, parses, seals, and answers 200 only after the record is
 * on disk. Whatever is wrong is thrown, and answered by the server's one error handler.
 */
export function createAcceptEvent(deps: AcceptEventDeps): (request: Request, response: Response) => Promise<void> {
  return async (request, response) => {
    const arrivedAtMs = performance.now();
    const receivedAtMs = Date.now();
    if (!deps.senders.isAllowed(request.ip)) throw new HttpError('sender_not_allowed');
    requirePost(request);
    await deps.receiveBody({ request, response }, async (body) => {
      const delivery = toDelivery(deps, parse(deps, body), receivedAtMs);
      await deps.keepDelivery(delivery, arrivedAtMs);
      answer(response, { status: 200, body: acceptance(delivery) });
    });
  };
}

function parse({ config }: AcceptEventDeps, body: ReceivedBody): ParsedEnvelope {
  const parsed = parseEnvelope(decodeBody(body, config));
  if (!parsed.ok) throw new HttpError('invalid_event', { issues: parsed.issues });
  // A worker takes messages of this name for signed ones of the app's own side.
  if (parsed.envelope.name.startsWith(INCOMING_PREFIX))
    throw new HttpError('invalid_event', { issues: [NOT_INCOMING] });
  return parsed.envelope;
}

const NOT_INCOMING = { path: 'event', message: `expected a name that does not begin with ${INCOMING_PREFIX}` } as const;
