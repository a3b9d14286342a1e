import { afterEach, describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { openSecrets } from '../../src/shared/delivery-seal.js';
import { formBody, MEMBER_ID } from '../support/deliveries.js';
import { post, startIngressBench, type Answered, type IngressBench } from '../support/ingress-bench.js';

const SECRET = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
const OLD_SECRET = `whsec_${Buffer.alloc(32, 4).toString('base64')}`;
const MESSAGE = { type: 'message', data: { member_id: MEMBER_ID, chat: 'c1', text: 'Hello', count: 2 } };

let bench: IngressBench;

afterEach(async () => {
  await bench.remove();
});

async function startIngress(env: NodeJS.ProcessEnv = { INCOMING_SECRET: SECRET }): Promise<string> {
  bench = await startIngressBench({ env });
  return new URL('/incoming', bench.url).href;
}

interface Sending {
  readonly id?: string;
  readonly secret?: string;
  readonly at?: Date;
  /** Signed in place of what is sent. */
  readonly signed?: string;
}

function send(url: string, message: unknown, sending: Sending = {}): Promise<Answered> {
  const { id = 'msg_1', secret = SECRET, at = new Date() } = sending;
  const body = JSON.stringify(message);
  return post(url, body, {
    'content-type': 'application/json',
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
    'webhook-signature': new Webhook(secret).sign(id, at, sending.signed ?? body),
  });
}

describe('POST /incoming', () => {
  it('keeps a signed message as a delivery, and answers with its id', async () => {
    const { status, body } = await send(await startIngress(), MESSAGE);
    const [delivery] = await bench.journalled();
    expect({ status, body }).toEqual({ status: 200, body: { status: 'accepted', id: delivery?.id } });
    expect(delivery).toMatchObject({
      name: 'INCOMING.MESSAGE',
      source: 'incoming',
      handlerId: null,
      auth: { memberId: MEMBER_ID, domain: null, clientEndpoint: null },
      body: { state: 'open', payload: MESSAGE.data },
    });
    expect(delivery && openSecrets(bench.sealer, delivery)).toEqual({ auth: {}, data: [] });
  });

  it('counts a message with the same id as the same, whatever else is in it, and one with another id as another', async () => {
    const url = await startIngress();
    await send(url, MESSAGE);
    await send(url, { ...MESSAGE, timestamp: '2026-01-01T00:00:00Z' });
    await send(url, MESSAGE, { id: 'msg_2' });
    const [first, again, other] = await bench.journalled();
    expect(again?.eventId).toBe(first?.eventId);
    expect(again?.id).not.toBe(first?.id);
    expect(other?.eventId).not.toBe(first?.eventId);
  });

  it('counts the same id of another portal as another', async () => {
    const url = await startIngress();
    await send(url, MESSAGE);
    await send(url, { ...MESSAGE, data: { ...MESSAGE.data, member_id: 'other' } });
    const [first, other] = await bench.journalled();
    expect(other?.eventId).not.toBe(first?.eventId);
  });

  it('takes the signature of either secret', async () => {
    const url = await startIngress({ INCOMING_SECRET: `${SECRET}, ${OLD_SECRET}` });
    expect((await send(url, MESSAGE)).status).toBe(200);
    expect((await send(url, MESSAGE, { secret: OLD_SECRET })).status).toBe(200);
  });

  it.each<[string, Sending]>([
    ['another secret', { secret: OLD_SECRET }],
    ['another body', { signed: '{}' }],
    ['six minutes ago', { at: new Date(Date.now() - 360_000) }],
    ['in six minutes', { at: new Date(Date.now() + 360_000) }],
  ])('answers 401 to a signature of %s, and keeps nothing', async (_what, sending) => {
    const answered = await send(await startIngress(), MESSAGE, sending);
    expect(answered).toMatchObject({ status: 401, body: { error: 'signature_invalid' } });
    expect(await bench.journalled()).toEqual([]);
  });

  it('answers 401 where there is no signature', async () => {
    const body = JSON.stringify(MESSAGE);
    const answered = await post(await startIngress(), body, { 'content-type': 'application/json' });
    expect(answered).toMatchObject({ status: 401, body: { error: 'signature_invalid' } });
  });

  it.each([
    ['type', { ...MESSAGE, type: 'a b' }],
    ['type', { data: MESSAGE.data }],
    ['data.member_id', { ...MESSAGE, data: { chat: 'c1' } }],
    ['data.member_id', { ...MESSAGE, data: { member_id: 7 } }],
    ['data.member_id', { type: 'message' }],
  ])('names %s where it is wrong', async (path, message) => {
    const answered = await send(await startIngress(), message);
    expect(answered).toMatchObject({ status: 400, body: { error: 'invalid_event', issues: [{ path }] } });
    expect(await bench.journalled()).toEqual([]);
  });

  it('keeps what is secret by its name in the seal alone', async () => {
    const data = {
      ...MESSAGE.data,
      bot: { access_token: 'bot-token-1234567' },
      link: 'https://a/?t=bot-token-1234567',
    };
    await send(await startIngress(), { ...MESSAGE, data });
    const [delivery] = await bench.journalled();
    expect(JSON.stringify(delivery) + bench.lines.join('')).not.toContain('bot-token-1234567');
    expect(delivery && openSecrets(bench.sealer, delivery).data).toEqual(['bot-token-1234567', data.link]);
  });

  it('is not there without a secret', async () => {
    expect(await send(await startIngress({}), MESSAGE)).toMatchObject({ status: 404, body: { error: 'not_found' } });
  });

  it('takes no form, whatever its signature', async () => {
    const answered = await post(await startIngress(), 'type=message');
    expect(answered).toMatchObject({ status: 415, body: { error: 'unsupported_content_type' } });
  });

  it('cannot be imitated by an event of a portal', async () => {
    await startIngress();
    const answered = await post(bench.url, formBody('ONAPPUPDATE', { event: 'incoming.message' }));
    expect(answered).toMatchObject({ status: 400, body: { error: 'invalid_event', issues: [{ path: 'event' }] } });
    expect(await bench.journalled()).toEqual([]);
  });
});
