import { mkdtemp, readFile, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Portal } from '../../src/shared/portals.js';
import type { RestAnswer } from '../support/rest-server.js';
import { createRestWorld, type RestWorld } from '../support/rest-world.js';
import { useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
let world: RestWorld;
/** The one refresh token of each portal that holds, as the OAuth server knows it. */
let holding: Map<string, string>;
let renewals = 0;

beforeAll(async () => {
  world = await createRestWorld(shared);
});
afterAll(async () => {
  await world.close();
  await shared.close();
});
beforeEach(() => {
  holding = new Map();
  renewals = 0;
  world.oauth.answer = ({ body }) => rotate(String(body['refresh_token']));
  world.portal.answer = ({ body }) =>
    String(body['auth']).startsWith('access-1')
      ? { status: 401, body: { error: 'expired_token', error_description: 'x' } }
      : { body: { result: body['auth'] } };
});

function rotate(used: string): RestAnswer {
  renewals += 1;
  const memberId = [...holding].find(([, token]) => token === used)?.[0];
  if (memberId === undefined) return { status: 400, body: { error: 'invalid_grant' } };
  holding.set(memberId, `refresh-${renewals + 1}`);
  const pair = { access_token: `access-${renewals + 1}`, refresh_token: `refresh-${renewals + 1}` };
  return { body: { ...pair, member_id: memberId, user_id: 1, domain: 'oauth.bitrix.info' } };
}

async function install(changes: Partial<Portal> = {}): Promise<Portal> {
  const portal = await world.install(changes);
  holding.set(portal.memberId, 'refresh-1');
  return portal;
}

async function filesIn(dataDir: string): Promise<string[]> {
  return readdir(join(dataDir, 'renewals')).catch(() => []);
}

const { signal } = new AbortController();

describe('an expired access token', () => {
  it('is renewed once for all calls of four processes, and none of them fails', async () => {
    const { memberId } = await install();
    const processes = Array.from({ length: 4 }, () => world.process());
    const calls = Array.from({ length: 40 }, (_, index) =>
      (processes[index % 4] ?? world.process()).calls(memberId, `run-${index}`).call('profile'),
    );
    expect(new Set(await Promise.all(calls))).toEqual(new Set(['access-2']));
    expect(renewals).toBe(1);
    const oauth = { accessToken: 'access-2', refreshToken: 'refresh-2', userId: 1, generation: 2 };
    expect(await processes[0]?.portals.find(memberId)).toMatchObject({ oauth, clientEndpoint: world.portal.endpoint });
  });

  it('is in a file before it is used, sealed and for its owner alone', async () => {
    const { memberId } = await install();
    const dataDir = await mkdtemp(join(world.dataDir, 'own-'));
    const isKept: boolean[] = [];
    world.portal.answer = async ({ body }) => {
      if (body['auth'] === 'access-1') return { status: 401, body: { error: 'expired_token' } };
      isKept.push((await filesIn(dataDir)).length === 1);
      return { body: { result: true } };
    };
    await world.process({ dataDir }).calls(memberId).call('profile');
    expect(isKept).toEqual([true]);
    const [name = ''] = await filesIn(dataDir);
    const path = join(dataDir, 'renewals', name);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(name).not.toContain(memberId);
    expect(await readFile(path, 'utf8')).not.toMatch(/access-|refresh-/);
  });

  it('is not renewed where the new pair could not be kept', async () => {
    const { memberId } = await install();
    const dataDir = join(world.dataDir, 'a-file');
    await writeFile(dataDir, '');
    const { renewals: own, lines } = world.process({ dataDir });
    const renewed = own.renew(memberId, 1, signal);
    await expect(renewed).rejects.toMatchObject({ code: 'REST_UNAVAILABLE', retryAfterMs: expect.any(Number) });
    expect(renewals).toBe(0);
    expect(lines).toMatchObject([{ level: 'error', event: 'renewal.no_disk' }]);
  });

  it('is renewed to the end for a caller who no longer waits', async () => {
    const { memberId } = await install();
    const { renewals: own, portals } = world.process();
    const controller = new AbortController();
    world.oauth.answer = ({ body }) => {
      controller.abort(new Error('enough'));
      return rotate(String(body['refresh_token']));
    };
    await expect(own.renew(memberId, 1, controller.signal)).rejects.toThrow('enough');
    await own.settled();
    expect((await portals.find(memberId))?.oauth?.generation).toBe(2);
  });

  it('takes the address that the OAuth server tells, if it is one of a portal', async () => {
    const { memberId } = await install();
    const other = await install();
    const answer = world.oauth.answer;
    const told = (endpoint: string) => {
      world.oauth.answer = async (request) => {
        const { body } = (await answer(request)) as { body: object };
        return { body: { ...body, client_endpoint: endpoint } };
      };
    };
    holding.delete(other.memberId);
    told(world.renamed.endpoint);
    const { renewals: own } = world.process();
    const renewed = await own.renew(memberId, 1, signal);
    expect(renewed).toMatchObject({
      clientEndpoint: world.renamed.endpoint,
      domain: `127.0.0.1:${world.renamed.port}`,
    });
    told('https://evil.org/rest/');
    expect(await own.renew(memberId, 2, signal)).toMatchObject({ clientEndpoint: world.renamed.endpoint });
  });
});

describe('a renewal that fails', () => {
  it('marks the portal whose refresh token is dead, and asks no more', async () => {
    const { memberId } = await world.install();
    const { calls, portals, lines } = world.process();
    const waits = { code: 'PORTAL_SUSPENDED', retryAfterMs: expect.any(Number), detail: 'invalid_grant' };
    await expect(calls(memberId).call('profile')).rejects.toMatchObject(waits);
    expect((await portals.find(memberId))?.suspension).toMatchObject({ reason: 'reauthorize', probeAtMs: null });
    expect(lines).toMatchObject([{ level: 'error', event: 'portal.needs_installation', memberId }]);
    await expect(calls(memberId).call('profile')).rejects.toMatchObject({ code: 'PORTAL_SUSPENDED' });
    expect(renewals).toBe(1);
  });

  it('asks the OAuth server once for all who wait while it cannot answer', async () => {
    const { memberId } = await install();
    world.oauth.answer = () => {
      renewals += 1;
      return { status: 503, body: '<html>' };
    };
    const processes = Array.from({ length: 4 }, () => world.process());
    const waits = { code: 'REST_UNAVAILABLE', retryAfterMs: expect.any(Number) };
    await Promise.all(
      processes.map((one) => expect(one.renewals.renew(memberId, 1, signal)).rejects.toMatchObject(waits)),
    );
    expect(renewals).toBe(1);
  });

  it('does not take the tokens of another portal', async () => {
    const { memberId } = await install();
    world.oauth.answer = () => ({ body: { access_token: 'a', refresh_token: 'r', member_id: 'another' } });
    const { renewals: own, portals, lines } = world.process();
    await expect(own.renew(memberId, 1, signal)).rejects.toMatchObject({ code: 'PORTAL_SUSPENDED' });
    expect((await portals.find(memberId))?.oauth).toMatchObject({ accessToken: 'access-1', generation: 1 });
    expect(lines).toMatchObject([{ level: 'error', event: 'portal.renewal_refused' }]);
  });

  it('does not wait for a holder for ever', async () => {
    const { memberId } = await install();
    await shared.redis.set(shared.keys.renewalLock(memberId), 'a process that died', 'PX', 60_000);
    const { renewals: own } = world.process({ times: { wait: 200, poll: 20 } });
    const waits = { code: 'REST_UNAVAILABLE', retryAfterMs: 200 };
    await expect(own.renew(memberId, 1, signal)).rejects.toMatchObject(waits);
    expect(renewals).toBe(0);
  });

  it('is no failure where an installation brought other tokens meanwhile', async () => {
    const { memberId, ...rest } = await world.install();
    const { renewals: own, portals } = world.process();
    const oauth = { accessToken: 'installed', refreshToken: 'installed', userId: 1, generation: 5 };
    world.oauth.answer = async () => {
      await portals.save({ memberId, ...rest, installedAtMs: 2000, oauth });
      return { status: 400, body: { error: 'invalid_grant' } };
    };
    expect(await own.renew(memberId, 1, signal)).toMatchObject({ oauth, suspension: null });
  });
});

describe('a new pair that Redis lost', () => {
  it('is put back from the disk when Redis is there again', async () => {
    const portal = await install();
    const { memberId } = portal;
    const { renewals: own, portals, calls, lines } = world.process();
    await own.renew(memberId, 1, signal);
    await portals.save(portal);
    await own.restore();
    expect((await portals.find(memberId))?.oauth).toMatchObject({ refreshToken: 'refresh-2', generation: 2 });
    expect(lines.at(-1)).toMatchObject({ level: 'warn', event: 'portal.tokens_restored' });
    expect(await calls(memberId).call('profile')).toBe('access-2');
    expect(renewals).toBe(1);
  });

  it('is found by the next who needs it, without asking the OAuth server', async () => {
    const portal = await install();
    const { renewals: own, portals, calls } = world.process();
    await own.renew(portal.memberId, 1, signal);
    await portals.save(portal);
    expect(await calls(portal.memberId).call('profile')).toBe('access-2');
    expect(renewals).toBe(1);
  });

  it('heals a portal that another machine had marked', async () => {
    const portal = await install();
    const { memberId } = portal;
    const { renewals: own, portals } = world.process();
    await own.renew(memberId, 1, signal);
    await portals.save(portal);
    const elsewhere = world.process({ dataDir: await mkdtemp(join(world.dataDir, 'elsewhere-')) });
    await expect(elsewhere.calls(memberId).call('profile')).rejects.toMatchObject({ code: 'PORTAL_SUSPENDED' });
    await own.restore();
    expect(await portals.find(memberId)).toMatchObject({ suspension: null, oauth: { refreshToken: 'refresh-2' } });
    expect(await elsewhere.calls(memberId).call('profile')).toBe('access-2');
  });

  it('is not put over the tokens of a later installation', async () => {
    const portal = await install();
    const { memberId } = portal;
    const { renewals: own, portals } = world.process();
    await own.renew(memberId, 1, signal);
    const oauth = { accessToken: 'a', refreshToken: 'of a new installation', userId: 1, generation: 1 };
    await portals.save({ ...portal, installedAtMs: 5000, oauth });
    await own.restore();
    expect((await portals.find(memberId))?.oauth).toEqual(oauth);
  });

  it('is put back also where an installation brought the refresh token that was used up for it', async () => {
    const portal = await install();
    const { memberId } = portal;
    const { renewals: own, portals } = world.process();
    await own.renew(memberId, 1, signal);
    const oauth = { accessToken: 'access-1', refreshToken: 'refresh-1', userId: 1, generation: 8 };
    await portals.save({ ...portal, installedAtMs: 5000, oauth });
    await own.restore();
    expect((await portals.find(memberId))?.oauth).toMatchObject({ refreshToken: 'refresh-2', generation: 9 });
  });
});

describe('the files of the renewals', () => {
  it('stay for an hour, and go with their portal', async () => {
    const dataDir = await mkdtemp(join(world.dataDir, 'kept-'));
    const { renewals: own, portals } = world.process({ dataDir });
    const [stays, removed, forgotten] = [await install(), await install(), await install()];
    for (const { memberId } of [stays, removed, forgotten]) {
      holding.set(memberId, `refresh-of-${memberId}`);
      const oauth = { accessToken: 'access-1', refreshToken: `refresh-of-${memberId}`, userId: 1, generation: 1 };
      await portals.save({ ...stays, memberId, oauth });
      await own.renew(memberId, 1, signal);
    }
    expect(await filesIn(dataDir)).toHaveLength(3);
    await portals.remove(removed.memberId, { receivedAtMs: 9000, deliveryId: 'd', isClean: false });
    await own.forget(forgotten.memberId);
    await own.restore();
    const [left = '', ...others] = await filesIn(dataDir);
    expect(others).toEqual([]);
    const hourAgo = Date.now() / 1000 - 3700;
    await utimes(join(dataDir, 'renewals', left), hourAgo, hourAgo);
    await own.restore();
    expect(await filesIn(dataDir)).toEqual([]);
  });

  it('that are broken, or of a broken record, keep no other from being put back', async () => {
    const dataDir = await mkdtemp(join(world.dataDir, 'broken-'));
    const { renewals: own, portals, lines } = world.process({ dataDir });
    const folder = join(dataDir, 'renewals');
    const lost = [await install(), await install(), await install()];
    for (const portal of lost) {
      holding = new Map([[portal.memberId, 'refresh-1']]);
      await own.renew(portal.memberId, 1, signal);
      await portals.save(portal);
    }
    const [broken] = lost;
    await shared.redis.set(shared.keys.portal(broken?.memberId ?? ''), '{"v":1,"seal":"broken"}');
    await writeFile(join(folder, '0000.json'), '{"v":1');
    await writeFile(join(folder, '0001.json'), JSON.stringify({ v: 1, memberId: 'x', generation: 3, seal: 'no' }));
    await writeFile(join(folder, '0002.json.1.aa.draft'), '');
    await utimes(join(folder, '0002.json.1.aa.draft'), 1, 1);
    await own.restore();
    for (const { memberId } of lost.slice(1)) expect((await portals.find(memberId))?.oauth?.generation).toBe(2);
    expect(lines.filter(({ event }) => event === 'renewal.not_restored')).toHaveLength(1);
    expect(await filesIn(dataDir)).not.toContain('0002.json.1.aa.draft');
  });

  it('need not be there', async () => {
    const { renewals: own, lines } = world.process({ dataDir: join(world.dataDir, 'not-there') });
    await own.restore();
    expect(lines).toEqual([]);
  });
});
