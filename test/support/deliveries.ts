import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { eventIdOf } from '../../src/shared/bitrix24/event-id.js';
import { parseEnvelope } from '../../src/shared/bitrix24/parse-event.js';
import { decodeForm } from '../../src/api/decode-body.js';
import { DELIVERY_VERSION, type Delivery } from '../../src/shared/delivery.js';
import type { Sealer } from '../../src/shared/sealer.js';
import { sealSecrets } from '../../src/shared/delivery-seal.js';

/** All that the tests were given by name, `ONIMCONNECTORMESSAGEADD.files`, as the sender sends it. */
export function formBody(name: string, changes: Readonly<Record<string, string>> = {}): string {
  const form = new URLSearchParams(readFileSync(`test/fixtures/${name}.form`, 'utf8').trim());
  for (const [key, value] of Object.entries(changes)) form.set(key, value);
  return form.toString();
}

export function forwardedBody(name: string): unknown {
  return JSON.parse(readFileSync(`test/fixtures/forwarded/${name}.json`, 'utf8'));
}

export const FIXTURE_NAMES: readonly string[] = [
  'ONAPPINSTALL',
  'ONAPPUNINSTALL',
  'ONAPPUPDATE',
  'ONCRMDEALUPDATE',
  'ONIMCONNECTORDIALOGFINISH',
  'ONIMCONNECTORDIALOGSTART',
  'ONIMCONNECTORLINEDELETE',
  'ONIMCONNECTORMESSAGEADD',
  'ONIMCONNECTORMESSAGEADD.files',
  'ONIMCONNECTORMESSAGEDELETE',
  'ONIMCONNECTORMESSAGEUPDATE',
  'ONIMCONNECTORSTATUSDELETE',
  'ONIMCONNECTORSTATUSDELETE.no-user',
  'ONIMCONNECTORSTATUSDELETE.uppercase',
];

/** Of the portal in the fixtures. */
export const MEMBER_ID = 'bac1cd5c8940947a75e0d71b1a84e348';
export const APPLICATION_TOKEN = '831c76b092f9f135d9b6b36c3a720757';

/** A delivery as the ingress makes it of a fixture. */
export function deliveryOf(sealer: Sealer, name: string, changes: Readonly<Record<string, string>> = {}): Delivery {
  const decoded = decodeForm(Buffer.from(formBody(name, changes)), { depthMax: 16, parametersMax: 10_000 });
  if (!decoded.ok) throw new Error(`the fixture ${name} cannot be decoded`);
  const parsed = parseEnvelope(decoded.value);
  if (!parsed.ok) throw new Error(`the fixture ${name} cannot be parsed`);
  const { fingerprint, secrets, ...envelope } = parsed.envelope;
  const { name: eventName, handlerId, ts, auth } = envelope;
  const id = randomUUID();
  const eventId = eventIdOf({ memberId: auth.memberId, name: eventName, handlerId, ts, fingerprint }, 'content');
  const seal = sealSecrets(sealer, secrets, { id, auth });
  return { v: DELIVERY_VERSION, id, eventId, receivedAtMs: Date.now(), bytes: 1000, ...envelope, seal };
}
