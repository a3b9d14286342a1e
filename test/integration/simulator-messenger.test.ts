import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { DEFAULT_CONNECTOR } from '../../src/simulator/portal-state.js';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';
import { startStubApp, type StubApp } from '../support/stub-app.js';

const SECRET = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

let app: StubApp;
let simulator: Simulator;
let portal: SimulatedPortal;

beforeEach(async () => {
  app = await startStubApp();
  simulator = await startSimulator({ incoming: { url: app.url, secret: SECRET } });
  portal = await simulator.addPortal();
});

afterEach(async () => {
  await simulator.close();
  await app.close();
});

async function request(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; body: unknown; headers: Headers }> {
  const response = await fetch(`${simulator.url}/messenger/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

describe('the messenger', () => {
  test('takes a message once for each key', async () => {
    const message = { chat: 'c1', text: 'Guten Tag', idempotencyKey: 'k1' };
    const first = await request('POST', 'messages', message);
    const again = await request('POST', 'messages', message);
    const other = await request('POST', 'messages', { ...message, idempotencyKey: 'k2' });

    expect(again.body).toEqual(first.body);
    expect(other.body).not.toEqual(first.body);
    expect([...simulator.messenger.messages.values()].map(({ requests }) => requests)).toEqual([2, 1]);
    expect(simulator.report().messenger).toEqual({ messages: 2, repeatedRequests: 1 });
  });

  test('changes and deletes what it has, and answers 404 for what it has not', async () => {
    await request('POST', 'messages', { chat: 'c1', text: 'Guten Tag', idempotencyKey: 'k1' });
    const [id = ''] = simulator.messenger.messages.keys();

    await expect(request('PUT', `messages/${id}`, { text: 'Hallo' })).resolves.toMatchObject({ status: 200 });
    await expect(request('DELETE', `messages/${id}`)).resolves.toMatchObject({ status: 200 });
    await expect(request('PUT', 'messages/none', { text: 'x' })).resolves.toMatchObject({ status: 404 });
    expect(simulator.messenger.messages.get(id)).toMatchObject({ text: 'Hallo', edits: 1, isDeleted: true });
  });

  test('refuses what is no message', async () => {
    await expect(request('POST', 'messages', { text: 'x' })).resolves.toMatchObject({ status: 400 });
  });

  test('can be told to fail', async () => {
    simulator.messenger.faults.next(1, { kind: 'status', status: 429, headers: { 'retry-after': '7' } });
    const message = { chat: 'c1', text: 'x', idempotencyKey: 'k1' };

    const refused = await request('POST', 'messages', message);

    expect([refused.status, refused.headers.get('retry-after'), simulator.messenger.messages.size]).toEqual([
      429,
      '7',
      0,
    ]);
    await expect(request('POST', 'messages', message)).resolves.toMatchObject({ status: 200 });
  });
});

describe('a customer', () => {
  const write = (duplicates = 0) =>
    simulator.messenger.write({
      memberId: portal.memberId,
      connector: DEFAULT_CONNECTOR,
      line: 1,
      chat: 'c1',
      text: 'Grüße',
      duplicates,
    });

  async function bringIn(id: string, line = 1): Promise<unknown> {
    const answer = await fetch(`${portal.clientEndpoint}imconnector.send.messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        CONNECTOR: DEFAULT_CONNECTOR,
        LINE: line,
        MESSAGES: [{ user: { id: 'u1' }, message: { id, date: 1, text: 'Grüße' }, chat: { id: 'c1' } }],
        auth: portal.tokensOf({ admin: true }).accessToken,
      }),
    });
    return answer.json();
  }

  test('writes, and the app gets it signed, the same again for each duplicate', async () => {
    const { id } = await write(1);

    const [first, again] = app.requests;
    expect(again?.raw).toBe(first?.raw);
    expect(new Webhook(SECRET).verify(first?.raw ?? '', first?.headers as Record<string, string>)).toEqual({
      type: 'message',
      timestamp: expect.any(String),
      data: {
        member_id: portal.memberId,
        connector: DEFAULT_CONNECTOR,
        line: 1,
        user: { id: 'user-of-c1', name: 'Erika Mustermann' },
        message: { id, date: expect.any(Number), text: 'Grüße' },
        chat: { id: 'c1' },
      },
    });
  });

  test('is missed until the message came into the portal, and told of where it came twice', async () => {
    const { id } = await write();
    const before = simulator.report().customers;
    await bringIn(id);
    const after = simulator.report().customers;
    await bringIn(id);

    expect([before.missing, after.once, simulator.report().customers.moreThanOnce]).toEqual([1, 1, 1]);
  });

  test('does not reach a line that is off, though the call is answered with 200', async () => {
    const { id } = await write();

    await expect(bringIn(id, 2)).resolves.toMatchObject({
      result: { DATA: { RESULT: [{ SUCCESS: false, ERRORS: [{ code: 'NOT_ACTIVE_LINE' }] }] } },
    });
    expect(simulator.report().customers.missing).toBe(1);
  });
});
