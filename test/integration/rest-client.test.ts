import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Portal, Suspension } from '../../src/shared/portals.js';
import { createRestWorld, type RestProcess, type RestWorld } from '../support/rest-world.js';
import { useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
let world: RestWorld;
let one: RestProcess;
let nowMs = 0;

beforeAll(async () => {
  world = await createRestWorld(shared);
  one = world.process({ now: () => nowMs });
});
afterAll(async () => {
  await world.close();
  await shared.close();
});
beforeEach(() => {
  nowMs = Date.now();
  world.portal.answer = () => ({ body: { result: 'done' } });
  world.renamed.answer = () => ({ body: { result: 'renamed' } });
  world.oauth.answer = () => ({ status: 500 });
});

function error(status: number, code: string, more: object = {}) {
  world.portal.answer = () => ({ status, body: { error: code, ...more } });
}

describe('a call', () => {
  it('gives the result of the method, with the token of the record', async () => {
    const { memberId } = await world.install({
      oauth: { accessToken: 'own', refreshToken: 'r', userId: 1, generation: 4 },
    });
    expect(await one.calls(memberId).call('imconnector.status', { LINE: 1 })).toBe('done');
    const last = world.portal.requests.at(-1);
    expect(last).toMatchObject({ path: '/rest/imconnector.status', body: { LINE: 1, auth: 'own' } });
  });

  it('says of itself that nothing was sent, where that is certain', async () => {
    const oauth = { accessToken: 'a', refreshToken: 'refresh-unsent', userId: 1, generation: 1 };
    const { memberId } = await world.install({ oauth });
    error(401, 'expired_token');
    const failure = { code: 'REST_UNAVAILABLE', isSent: false };
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject(failure);
    error(500, 'ERROR_UNEXPECTED_ANSWER');
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject({ isSent: undefined });
  });

  it('needs a portal with tokens, at an address that may be called', async () => {
    const notInstalled = { code: 'PORTAL_NOT_INSTALLED' };
    await expect(one.calls('nobody').call('profile')).rejects.toMatchObject(notInstalled);
    const { memberId } = await world.install({ oauth: null });
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject(notInstalled);
    for (const clientEndpoint of [null, 'https://evil.org/rest/', 'http://127.0.0.1:1/rest/']) {
      const forged = await world.install({ clientEndpoint });
      await expect(one.calls(forged.memberId).call('profile')).rejects.toMatchObject({ code: 'REST_HOST_REFUSED' });
    }
  });

  it.each([
    [400, 'ERROR_ARGUMENT', 'REST_REFUSED'],
    [500, 'ERROR_UNEXPECTED_ANSWER', 'REST_UNAVAILABLE'],
    [200, 'SOMETHING_NEW', 'REST_UNEXPECTED'],
  ])('that ends with %i %s fails with %s', async (status, code, expected) => {
    const { memberId } = await world.install();
    error(status, code);
    const failure = { code: expected, detail: code, retryAfterMs: undefined };
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject(failure);
  });

  it('that gets no answer fails as unreachable', async () => {
    const { memberId } = await world.install();
    world.portal.answer = () => 'half';
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject({ code: 'REST_UNREACHABLE' });
  });

  it('is repeated once with new tokens, and no more', async () => {
    const { memberId } = await world.install();
    world.oauth.answer = () => ({ body: { access_token: 'a2', refresh_token: 'r2', member_id: memberId } });
    error(401, 'invalid_token');
    const before = world.portal.requests.length;
    const failure = { code: 'REST_UNEXPECTED', detail: 'invalid_token' };
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject(failure);
    expect(world.portal.requests.slice(before).map(({ body }) => body['auth'])).toEqual(['access-1', 'a2']);
    expect(world.oauth.requests.filter(({ body }) => body['refresh_token'] === 'refresh-1')).toHaveLength(1);
  });
});

describe('a portal that was renamed', () => {
  function move(location: string) {
    world.portal.answer = () => ({ status: 302, headers: { location } });
  }

  it('is called again at its new address, by POST, and found there from then on', async () => {
    const { memberId } = await world.install();
    move(`${world.renamed.endpoint}profile?auth=x`);
    const before = world.portal.requests.length;
    expect(await one.calls(memberId).call('profile', { a: 1 })).toBe('renamed');
    expect(world.renamed.requests.at(-1)).toMatchObject({
      url: '/rest/profile',
      httpMethod: 'POST',
      body: { a: 1, auth: 'access-1' },
    });
    expect(await one.portals.find(memberId)).toMatchObject({
      clientEndpoint: world.renamed.endpoint,
      domain: `127.0.0.1:${world.renamed.port}`,
    });
    expect(await one.calls(memberId).call('profile')).toBe('renamed');
    expect(world.portal.requests).toHaveLength(before + 1);
  });

  it('is not followed to a host that may not be called', async () => {
    const { memberId } = await world.install();
    const { connections } = world.oauth;
    const userinfo = `http://user@127.0.0.1:${world.renamed.port}/rest/profile`;
    const before = world.renamed.requests.length;
    for (const location of [
      world.oauth.endpoint,
      'https://evil.org/rest/profile',
      userinfo,
      'http://[',
      'file:///rest/',
    ]) {
      move(location);
      await expect(one.calls(memberId).call('profile')).rejects.toMatchObject({ code: 'REST_HOST_REFUSED' });
    }
    expect(world.oauth.connections).toBe(connections);
    expect(world.renamed.requests).toHaveLength(before);
  });

  it('is followed once, and remembered only if a portal is there', async () => {
    const { memberId } = await world.install();
    move(`${world.renamed.endpoint}profile`);
    world.renamed.answer = () => ({ status: 302, headers: { location: `${world.portal.endpoint}profile` } });
    const failure = { code: 'REST_UNEXPECTED', detail: 'a second redirect' };
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject(failure);
    world.renamed.answer = () => ({ body: '<html>' });
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject({ code: 'REST_UNEXPECTED' });
    move('/rest/profile');
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject({ detail: 'a redirect to itself' });
    expect((await one.portals.find(memberId))?.clientEndpoint).toBe(world.portal.endpoint);
  });
});

describe('a portal that cannot be called', () => {
  const HOUR_MS = 3_600_000;
  const QUARTER_MS = 900_000;

  it.each([
    { status: 402, code: 'PAYMENT_REQUIRED', reason: 'payment', waitMs: HOUR_MS },
    { status: 500, code: 'PORTAL_DELETED', reason: 'deleted', waitMs: QUARTER_MS },
    { status: 403, code: 'ACCESS_DENIED', reason: 'access', waitMs: HOUR_MS },
    { status: 503, code: 'OVERLOAD_LIMIT', reason: 'overload', waitMs: QUARTER_MS },
  ])('is suspended by $status $code, and not called until it is looked at again', async (expected) => {
    const { status, code, reason, waitMs } = expected;
    const { memberId } = await world.install();
    error(status, code, { error_description: 'REST API is available only on commercial plans' });
    const failure = { code: 'PORTAL_SUSPENDED', retryAfterMs: waitMs };
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject({ ...failure, detail: code });
    const suspension = { reason, sinceMs: nowMs, probeAtMs: nowMs + waitMs };
    expect((await one.portals.find(memberId))?.suspension).toEqual(suspension);
    const before = world.portal.requests.length;
    nowMs += 1000;
    const later = { code: 'PORTAL_SUSPENDED', retryAfterMs: waitMs - 1000 };
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject(later);
    expect(world.portal.requests).toHaveLength(before);
  });

  /** How often the log says that it can be called again. */
  function resumptionsOf(memberId: string): number {
    return one.lines.filter((line) => line['event'] === 'portal.resumed' && line['memberId'] === memberId).length;
  }

  async function suspended(reason: Suspension['reason'], probeAtMs: number | null): Promise<Portal> {
    return world.install({ suspension: { reason, sinceMs: 5000, probeAtMs } });
  }

  it('is looked at by one call of all, which resumes it when it goes through', async () => {
    const { memberId } = await suspended('payment', nowMs);
    const before = world.portal.requests.length;
    const calls = Array.from({ length: 5 }, () =>
      one
        .calls(memberId)
        .call('profile')
        .catch((failed: Error) => failed.name),
    );
    const results = await Promise.all(calls);
    expect(results.filter((result) => result === 'done')).toHaveLength(1);
    expect(results.filter((result) => result === 'JobError')).toHaveLength(4);
    expect(world.portal.requests).toHaveLength(before + 1);
    expect((await one.portals.find(memberId))?.suspension).toBeNull();
    expect(await one.calls(memberId).call('profile')).toBe('done');
    expect(resumptionsOf(memberId)).toBe(1);
  });

  it('stays suspended when the look fails, since the same time', async () => {
    const { memberId } = await suspended('payment', nowMs);
    error(402, 'PAYMENT_REQUIRED');
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject({ code: 'PORTAL_SUSPENDED' });
    const suspension = { reason: 'payment', sinceMs: 5000, probeAtMs: nowMs + HOUR_MS };
    expect((await one.portals.find(memberId))?.suspension).toEqual(suspension);
  });

  it('stays suspended where it was suspended anew, with other tokens, while the look was under way', async () => {
    const portal = await suspended('payment', nowMs);
    const { memberId } = portal;
    const oauth = { accessToken: 'access-2', refreshToken: 'refresh-2', userId: 1, generation: 2 };
    const suspension: Suspension = { reason: 'reauthorize', sinceMs: 6000, probeAtMs: null };
    world.portal.answer = async () => {
      await one.portals.save({ ...portal, oauth, suspension });
      return { body: { result: 'done' } };
    };
    expect(await one.calls(memberId).call('profile')).toBe('done');
    expect((await one.portals.find(memberId))?.suspension).toEqual(suspension);
    expect(resumptionsOf(memberId)).toBe(0);
  });

  it('is never called while only an installation helps', async () => {
    const { memberId } = await suspended('reauthorize', null);
    const before = world.portal.requests.length;
    const failure = { code: 'PORTAL_SUSPENDED', retryAfterMs: QUARTER_MS };
    await expect(one.calls(memberId).call('profile')).rejects.toMatchObject(failure);
    expect(world.portal.requests).toHaveLength(before);
  });
});
