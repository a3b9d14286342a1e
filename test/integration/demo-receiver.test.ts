import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { createForwardSecret } from '../../src/cli/start/demo-portal.js';
import { startDemoReceiver, type DemoReceiver } from '../../src/cli/start/demo-receiver.js';

const EVENT = { type: 'ONIMCONNECTORLINEDELETE', timestamp: '2026-03-17T14:52:41.000Z' };

describe('the demo receiver', () => {
  const secret = createForwardSecret();
  let receiver: DemoReceiver;
  let said: string[];

  beforeEach(async () => {
    said = [];
    receiver = await startDemoReceiver({ secret, say: (line) => void said.push(line) });
  });

  afterEach(async () => {
    await receiver.close();
  });

  async function post(body: string, signedWith = secret): Promise<number> {
    const sentAt = new Date();
    const headers = {
      'webhook-id': 'evt_1',
      'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1000)),
      'webhook-signature': new Webhook(signedWith).sign('evt_1', sentAt, body),
    };
    return (await fetch(receiver.url, { method: 'POST', body, headers })).status;
  }

  test('answers 204 to an event that is signed, and says what came', async () => {
    const body = JSON.stringify({ ...EVENT, data: { member_id: 'demo', payload: { line: 107, text: 'Grüße' } } });

    await expect(post(body)).resolves.toBe(204);

    expect(said).toEqual([
      'received ONIMCONNECTORLINEDELETE of portal demo, signature good: {"line":107,"text":"Grüße"}',
    ]);
  });

  test('answers 401 to one that is signed with another secret, and shows nothing of it', async () => {
    await expect(post('{"type":"FORGED"}', createForwardSecret())).resolves.toBe(401);

    expect(said).toEqual(['a request whose signature does not fit; answered 401']);
  });

  test('answers 401 to one without a signature', async () => {
    const response = await fetch(receiver.url, { method: 'POST', body: '{}' });

    expect(response.status).toBe(401);
  });

  test('shows the beginning of a long payload', async () => {
    await post(JSON.stringify({ ...EVENT, data: { member_id: 'demo', payload: 'x'.repeat(5000) } }));

    expect(said[0]?.length).toBeLessThan(300);
  });
});
