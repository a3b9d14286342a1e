import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';

let simulator: Simulator;
let portal: SimulatedPortal;
let nowMs: number;

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  simulator = await startSimulator({ now: () => nowMs });
  portal = await simulator.addPortal();
});

afterEach(async () => {
  await simulator.close();
});

interface Answered {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

async function read(response: Response): Promise<Answered> {
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

function renew(refreshToken: string, changes: Record<string, string> = {}): Promise<Answered> {
  const { clientId, clientSecret, url } = simulator;
  const form = { grant_type: 'refresh_token', client_id: clientId, client_secret: clientSecret };
  const body = new URLSearchParams({ ...form, refresh_token: refreshToken, ...changes });
  return fetch(`${url}/oauth/token/`, { method: 'POST', body }).then(read);
}

function appInfo(accessToken: string): Promise<Answered> {
  return fetch(`${simulator.url}/rest/app.info?auth=${accessToken}`).then(read);
}

describe('the renewal of tokens', () => {
  test('gives a pair that works, and the old refresh token dies at once', async () => {
    const { refreshToken } = portal.tokensOf({ admin: true });

    const renewed = await renew(refreshToken);

    expect(renewed).toMatchObject({
      status: 200,
      body: {
        client_endpoint: portal.clientEndpoint,
        domain: simulator.oauthHost,
        expires: nowMs / 1000 + 3600,
        expires_in: 3600,
        member_id: portal.memberId,
        server_endpoint: `${simulator.url}/rest/`,
        status: 'F',
        user_id: 1,
      },
    });
    await expect(appInfo(String(renewed.body['access_token']))).resolves.toMatchObject({ status: 200 });
    await expect(renew(refreshToken)).resolves.toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
    await expect(renew(String(renewed.body['refresh_token']))).resolves.toMatchObject({ status: 200 });
    expect(portal.renewals).toBe(2);
  });

  test('is answered to GET as well', async () => {
    const { refreshToken } = portal.tokensOf({ admin: true });
    const { clientId, clientSecret } = simulator;
    const query = { grant_type: 'refresh_token', client_id: clientId, client_secret: clientSecret };
    const address = `${simulator.url}/oauth/token/?${new URLSearchParams({ ...query, refresh_token: refreshToken }).toString()}`;

    await expect(fetch(address).then(read)).resolves.toMatchObject({ status: 200 });
  });

  test.each([
    ['a wrong secret', { client_secret: 'wrong' }, { status: 401, body: { error: 'invalid_client' } }],
    ['an unknown app, with status 200', { client_id: 'local.other' }, { status: 200, body: { error: 'wrong_client' } }],
    ['another grant', { grant_type: 'password' }, { status: 400, body: { error: 'invalid_request' } }],
    ['an unknown refresh token', { refresh_token: 'unknown' }, { status: 400, body: { error: 'invalid_grant' } }],
  ])('refuses %s, and the refresh token lives on', async (_, changes, refusal) => {
    const { refreshToken } = portal.tokensOf({ admin: true });

    await expect(renew(refreshToken, changes)).resolves.toMatchObject(refusal);
    await expect(renew(refreshToken)).resolves.toMatchObject({ status: 200 });
  });

  test('is refused while the portal has to pay, after its refresh tokens were killed, and after it removed the app', async () => {
    const { refreshToken } = portal.tokensOf({ admin: true });
    portal.faults.refusal = 'PAYMENT_REQUIRED';
    await expect(renew(refreshToken)).resolves.toMatchObject({ status: 200, body: { error: 'PAYMENT_REQUIRED' } });

    portal.faults.refusal = null;
    portal.killRefreshTokens();
    await expect(renew(refreshToken)).resolves.toMatchObject({ status: 400, body: { error: 'invalid_grant' } });

    const later = portal.tokensOf({ admin: true });
    portal.state.eventsUrl = 'http://127.0.0.1:9/';
    await portal.uninstall();
    await expect(renew(later.refreshToken)).resolves.toMatchObject({ status: 401, body: { error: 'NOT_INSTALLED' } });
  });

  test('has rotated the token where only its answer got lost', async () => {
    const { refreshToken } = portal.tokensOf({ admin: true });
    simulator.oauthFaults.next(1, { kind: 'cut' }, '/oauth/token/');

    await expect(renew(refreshToken)).rejects.toThrow('terminated');
    await expect(renew(refreshToken)).resolves.toMatchObject({ status: 400, body: { error: 'invalid_grant' } });
  });
});

describe('what a token is worth', () => {
  test('is told of whose it is, of which app and in which portal', async () => {
    portal.state.isInstalled = true;
    const { accessToken } = portal.tokensOf({ admin: false });

    await expect(appInfo(accessToken)).resolves.toMatchObject({
      status: 200,
      body: {
        result: {
          client_id: simulator.clientId,
          user_id: '27',
          install: {
            installed: true,
            domain: portal.host,
            client_endpoint: portal.clientEndpoint,
            member_id: portal.memberId,
          },
        },
      },
    });
    expect(portal.proofs).toBe(1);
  });

  test('names the other app where it is a token of one', async () => {
    const { accessToken } = portal.tokensOf({ admin: true, clientId: 'local.other' });

    await expect(appInfo(accessToken)).resolves.toMatchObject({ body: { result: { client_id: 'local.other' } } });
  });

  test('is nothing after an hour, nor when it was expired by hand, nor if nobody gave it out', async () => {
    const first = portal.tokensOf({ admin: true });
    nowMs += 3_600_000;
    await expect(appInfo(first.accessToken)).resolves.toMatchObject({ status: 401, body: { error: 'expired_token' } });

    const second = portal.tokensOf({ admin: true });
    portal.expireAccessTokens();
    await expect(appInfo(second.accessToken)).resolves.toMatchObject({ status: 401, body: { error: 'expired_token' } });

    await expect(appInfo('unknown')).resolves.toMatchObject({ status: 401, body: { error: 'invalid_token' } });
    await expect(appInfo('')).resolves.toMatchObject({ status: 401, body: { error: 'NO_AUTH_FOUND' } });
  });
});
