import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { FaultyAnswer } from '../../src/simulator/faults.js';
import { DEFAULT_CONNECTOR } from '../../src/simulator/portal-state.js';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';
import { waitUntil } from '../support/wait-until.js';

let simulator: Simulator;
let portal: SimulatedPortal;
let nowMs: number;
let auth: string;

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  simulator = await startSimulator({ now: () => nowMs });
  portal = await simulator.addPortal();
  auth = portal.tokensOf({ admin: true }).accessToken;
});

afterEach(async () => {
  await simulator.close();
});

interface Answered {
  readonly status: number;
  readonly body: { readonly result?: unknown; readonly error?: string; readonly time?: Record<string, unknown> };
}

async function call(method: string, params: Record<string, unknown> = {}, token = auth): Promise<Answered> {
  const response = await fetch(`${portal.clientEndpoint}${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ...params, auth: token }),
    redirect: 'manual',
  });
  return { status: response.status, body: (await response.json()) as Answered['body'] };
}

describe('a call', () => {
  test('is answered with its result and the time it took, and is noted with its owner and without its token', async () => {
    const { status, body } = await call('profile', { x: 1 });

    expect(status).toBe(200);
    expect(body.result).toMatchObject({ ID: '1', ADMIN: true });
    expect(Object.keys(body.time ?? {})).toEqual(
      expect.arrayContaining(['start', 'finish', 'duration', 'operating', 'operating_reset_at']),
    );
    await waitUntil('the call is noted', () => portal.calls[0]?.status === 200);
    expect(portal.calls).toEqual([
      expect.objectContaining({ method: 'profile', params: { x: 1 }, atMs: nowMs, error: null, isInBatch: false }),
    ]);
    expect(portal.calls[0]?.owner).toMatchObject({ userId: 1, isAdmin: true });
    expect(JSON.stringify(portal.calls)).not.toContain(auth);
  });

  test('may be a form, end in .json and have its token in the address', async () => {
    const response = await fetch(`${portal.clientEndpoint}user.admin.json?auth=${auth}`, {
      method: 'POST',
      body: new URLSearchParams({ a: '1' }),
    });

    await expect(response.json()).resolves.toMatchObject({ result: true });
  });

  test('of an employee is told from one of an administrator', async () => {
    const { accessToken } = portal.tokensOf({ admin: false });

    await expect(call('profile', {}, accessToken)).resolves.toMatchObject({
      body: { result: { ID: '27', ADMIN: false } },
    });
  });

  test('is refused without a token that holds here', async () => {
    const other = await simulator.addPortal();
    const foreign = other.tokensOf({ admin: true }).accessToken;

    await expect(call('profile', {}, '')).resolves.toMatchObject({ status: 401, body: { error: 'NO_AUTH_FOUND' } });
    await expect(call('profile', {}, 'unknown')).resolves.toMatchObject({
      status: 401,
      body: { error: 'invalid_token' },
    });
    await expect(call('profile', {}, foreign)).resolves.toMatchObject({
      status: 401,
      body: { error: 'invalid_token' },
    });
    portal.expireAccessTokens();
    await expect(call('profile')).resolves.toMatchObject({ status: 401, body: { error: 'expired_token' } });
  });

  test('of an unknown method is answered with 404', async () => {
    const { status, body } = await call('constructor');

    expect([status, body.error]).toEqual([404, 'ERROR_METHOD_NOT_FOUND']);
  });
});

describe('the budget', () => {
  test('is 50 calls at once, then 2 a second, and what is above it is counted', async () => {
    const first = await Promise.all(Array.from({ length: 52 }, () => call('profile')));
    nowMs += 1000;
    const second = await Promise.all(Array.from({ length: 3 }, () => call('profile')));

    expect(first.filter(({ status }) => status === 200)).toHaveLength(50);
    expect(first.find(({ status }) => status !== 200)).toMatchObject({
      status: 503,
      body: { error: 'QUERY_LIMIT_EXCEEDED' },
    });
    expect(second.filter(({ status }) => status === 200)).toHaveLength(2);
    expect([portal.overBudget, simulator.report().rest.overBudget]).toEqual([3, 3]);
  });

  test('of time of work blocks one method until it counts no longer', async () => {
    portal.state.operating.block('profile');

    await expect(call('profile')).resolves.toMatchObject({ status: 429, body: { error: 'OPERATION_TIME_LIMIT' } });
    await expect(call('user.admin')).resolves.toMatchObject({ status: 200 });
    nowMs += 600_000;
    await expect(call('profile')).resolves.toMatchObject({ status: 200 });
  });
});

describe('a batch', () => {
  test('is one call to the budget, answers 200, and tells the errors inside', async () => {
    const cmd = { me: 'profile', no: 'nothing?x[y]=1', nested: 'batch?cmd[a]=profile' };

    const { status, body } = await call('batch', { cmd });

    expect(status).toBe(200);
    expect(body.result).toMatchObject({
      result: { me: { ID: '1' } },
      result_error: { no: { error: 'ERROR_METHOD_NOT_FOUND' }, nested: { error: 'ERROR_BATCH_METHOD_NOT_ALLOWED' } },
    });
    expect(portal.calls.map(({ method, isInBatch, params }) => [method, isInBatch, params])).toContainEqual([
      'nothing',
      true,
      { x: { y: '1' } },
    ]);
  });

  test('of more than 50 calls is refused', async () => {
    const cmd = Object.fromEntries(Array.from({ length: 51 }, (_, index) => [`c${index}`, 'profile']));

    await expect(call('batch', { cmd })).resolves.toMatchObject({
      status: 400,
      body: { error: 'ERROR_BATCH_LENGTH_EXCEEDED' },
    });
  });
});

describe('faults', () => {
  test.each([
    ['PAYMENT_REQUIRED', 402],
    ['PORTAL_DELETED', 500],
    ['ACCESS_DENIED', 403],
    ['OVERLOAD_LIMIT', 503],
  ] as const)('%s refuses every call until it is taken away', async (refusal, status) => {
    portal.faults.refusal = refusal;
    await expect(call('profile')).resolves.toMatchObject({ status, body: { error: refusal } });

    portal.faults.refusal = null;
    await expect(call('profile')).resolves.toMatchObject({ status: 200 });
  });

  test('spoil the next answers, of one method where it is named', async () => {
    portal.faults.next(1, { kind: 'status', status: 502 }, 'user.admin');

    await expect(call('profile')).resolves.toMatchObject({ status: 200 });
    await expect(call('user.admin')).resolves.toMatchObject({ status: 502 });
    await expect(call('user.admin')).resolves.toMatchObject({ status: 200 });
  });

  test.each<[FaultyAnswer['kind'], string]>([
    ['cut', 'terminated'],
    ['html', 'Unexpected token'],
    ['not-json', 'Expected'],
  ])('%s: the answer is spoilt, and the work is done', async (kind, message) => {
    portal.faults.next(1, { kind } as FaultyAnswer);

    await expect(call('imconnector.unregister', { ID: DEFAULT_CONNECTOR })).rejects.toThrow(message);

    expect(portal.state.connectors.size).toBe(0);
  });

  test('reset: the connection is closed, and nothing is done', async () => {
    portal.faults.next(1, { kind: 'reset' });

    await expect(call('imconnector.unregister', { ID: DEFAULT_CONNECTOR })).rejects.toThrow('fetch failed');

    expect(portal.state.connectors.size).toBe(1);
  });

  test('hang: no answer comes, and the simulator can be closed all the same', async () => {
    portal.faults.next(1, { kind: 'hang' });
    const hanging = call('profile').catch(() => 'closed');
    await waitUntil('the call has arrived', () => portal.calls.length === 1);

    await simulator.close();

    await expect(hanging).resolves.toBe('closed');
  });
});

describe('a rename', () => {
  test('moves the portal to the host that was told beforehand, and the old one answers 302 to the same path there', async () => {
    const { clientEndpoint: before, nextHost } = portal;

    await portal.rename();
    const moved = await fetch(`${before}profile.json?auth=${auth}`, { method: 'POST', redirect: 'manual' });

    expect(portal.host).toBe(nextHost);
    expect(moved.status).toBe(302);
    expect(moved.headers.get('location')).toBe(`${portal.clientEndpoint}profile.json?auth=${auth}`);
    await expect(call('profile')).resolves.toMatchObject({ status: 200 });
  });

  test('once more: the first host leads to the last', async () => {
    const { clientEndpoint: first } = portal;
    await portal.rename();
    await portal.rename();

    const moved = await fetch(`${first}profile`, { redirect: 'manual' });

    expect(moved.headers.get('location')).toBe(`${portal.clientEndpoint}profile`);
  });
});
