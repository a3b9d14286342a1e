import { isMap } from '../shared/is-map.js';
import { hash, randomUUID } from 'node:crypto';
import type { Request, Response } from 'express';
import { Webhook } from 'standardwebhooks';
import type { Issue, JsonValue } from '../shared/bitrix24/event.js';
import { bareAuth } from '../shared/bitrix24/open-auth.js';
import { redactData } from '../shared/bitrix24/redact-secrets.js';
import { secretValuesOf, withSecretsOfData } from '../shared/bitrix24/secret-values.js';
import type { Config } from '../shared/config.js';
import { DELIVERY_VERSION, INCOMING_PREFIX } from '../shared/delivery.js';
import { sealSecrets } from '../shared/delivery-seal.js';
import type { Sealer } from '../shared/sealer.js';
import { answer } from './http-answer.js';
import { HttpError } from './http-error.js';
import { acceptance, type KeepDelivery, type NewDelivery } from './keep-delivery.js';
import { decodeBody, type ReceiveBody, type ReceivedBody } from './receive-body.js';
import { requirePost } from './request-checks.js';

/**
 * Messages from the app's own side, such as the messenger of a connector, for its handlers: kept and worked on with the same
 * guarantees as the events of portals. Signed as Standard Webhooks 1.0 says (https://www.standardwebhooks.com). SENDER_IPS does
 * not apply: it lists portals, and the signature says more than an address.
 */
export interface IncomingMessageDeps {
  readonly config: Pick<Config, 'bodyDepthMax' | 'bodyParametersMax' | 'incomingSecrets'>;
  readonly sealer: Sealer;
  readonly receiveBody: ReceiveBody;
  readonly keepDelivery: KeepDelivery;
}

export function createIncomingMessage(
  deps: IncomingMessageDeps,
): (request: Request, response: Response) => Promise<void> {
  const webhooks = deps.config.incomingSecrets.map((secret) => new Webhook(secret));
  return async (request, response) => {
    const arrivedAtMs = performance.now();
    const receivedAtMs = Date.now();
    if (webhooks.length === 0) throw new HttpError('not_found');
    requirePost(request);
    await deps.receiveBody({ request, response }, async (body) => {
      const webhookId = verify(webhooks, request, body);
      const message = parseMessage(decodeBody(body, deps.config));
      const delivery = toDelivery(deps.sealer, message, { webhookId, receivedAtMs });
      await deps.keepDelivery(delivery, arrivedAtMs);
      answer(response, { status: 200, body: acceptance(delivery) });
    });
  };
}

/** Before anything is read: the signature is over the bytes. Gives the id of the message, which it covers too. */
function verify(webhooks: readonly Webhook[], { headers }: Request, { format, bytes }: ReceivedBody): string {
  if (format !== 'json') throw new HttpError('unsupported_content_type');
  const signed = Object.fromEntries(SIGNED_HEADERS.map((name) => [name, String(headers[name] ?? '')]));
  if (!webhooks.some((webhook) => isSigned(webhook, bytes, signed))) throw new HttpError('signature_invalid');
  return signed['webhook-id'] ?? '';
}

const SIGNED_HEADERS = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;

function isSigned(webhook: Webhook, bytes: Buffer, headers: Record<string, string>): boolean {
  try {
    webhook.verify(bytes, headers, { jsonParse: false });
    return true;
  } catch {
    // It throws for whatever is missing, too old or wrong.
    return false;
  }
}

interface Message {
  readonly name: string;
  readonly memberId: string;
  readonly data: JsonValue;
}

function parseMessage(decoded: unknown): Message {
  const fields = isMap(decoded) ? decoded : {};
  // It came as JSON, and so holds nothing else.
  const data = isMap(fields['data']) ? (fields['data'] as { readonly [key: string]: JsonValue }) : {};
  const type = matching(fields['type'], TYPE);
  const memberId = matching(data['member_id'], MEMBER_ID);
  if (type !== null && memberId !== null) return { name: `${INCOMING_PREFIX}${type.toUpperCase()}`, memberId, data };
  const issues = [...(type === null ? [ISSUES.type] : []), ...(memberId === null ? [ISSUES.memberId] : [])];
  throw new HttpError('invalid_event', { issues });
}

const TYPE = /^[\w.-]{1,64}$/;
const MEMBER_ID = /^[\w.-]{1,64}$/;

const ISSUES = {
  type: { path: 'type', message: 'expected 1 to 64 letters, digits or any of _.-' },
  memberId: { path: 'data.member_id', message: 'expected 1 to 64 letters, digits or any of _.-' },
} as const satisfies Record<string, Issue>;

function toDelivery(
  sealer: Sealer,
  { name, memberId, data }: Message,
  { webhookId, receivedAtMs }: { readonly webhookId: string; readonly receivedAtMs: number },
): NewDelivery {
  const id = randomUUID();
  const auth = bareAuth(memberId);
  const isOpen = (value: string): boolean => value === memberId;
  const redacted = redactData(data, withSecretsOfData(secretValuesOf({}, isOpen), data, isOpen));
  return {
    v: DELIVERY_VERSION,
    id,
    eventId: eventIdOf([memberId, name, webhookId]),
    receivedAtMs,
    name,
    handlerId: null,
    ts: Math.floor(receivedAtMs / 1000),
    auth,
    body: { state: 'open', payload: redacted.data },
    seal: sealSecrets(sealer, { auth: {}, data: redacted.moved }, { id, auth }),
    source: 'incoming',
  };
}

/** The sender gives each message an id of its own, and the same one to a message that it repeats: no need to look at the data. */
function eventIdOf(parts: readonly string[]): string {
  const digest = hash('sha256', JSON.stringify(['incoming message', ...parts]), 'buffer');
  return digest.subarray(0, EVENT_ID_BYTES).toString('base64url');
}

/** As many as the ids of other events have. */
const EVENT_ID_BYTES = 16;

function matching(value: unknown, pattern: RegExp): string | null {
  return typeof value === 'string' && pattern.test(value) ? value : null;
}
