import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { RedisContact } from '../../src/api/redis-contact.js';
import { loadConfig } from '../../src/shared/config.js';
import { createKeys } from '../../src/shared/keys.js';
import { createPortalStore, emptyPortal, portalChangedChannel } from '../../src/shared/portals.js';
import { redisAddressOf } from '../../src/shared/redis-address.js';
import { readRedisClockMs, readRedisInfo } from '../../src/shared/redis-info.js';
import { connectFailingFast, connectPatiently, duplicateOf, type Redis } from '../../src/shared/redis.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey, type SecretKeys } from '../../src/shared/secret-keys.js';
import { TestCluster } from '../support/redis-cluster.js';
import { describeWithRedisBinary, withRedisAt, type TestRedis } from '../support/redis-server.js';
import { silentLogger } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const secretKeys: SecretKeys = { current: toSecretKey(Buffer.alloc(32, 1)), previous: [] };
let cluster: TestCluster;
const open: Redis[] = [];

function connect(as: typeof connectPatiently, prefix: string): Redis {
  const redis = as(redisAddressOf(loadConfig({ ...cluster.env, QUEUE_PREFIX: prefix })), silentLogger);
  open.push(redis);
  return redis;
}

async function runIdOfMasterOf(key: string): Promise<string | undefined> {
  const master = await cluster.masterOf(key);
  return withRedisAt(master?.url ?? '', async (redis) => /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1]);
}

/** Of a connection that has heard nothing for so long that it is given up. */
const HALF_SOCKET_TIMEOUT_MS = 10_000;

async function stateSeenBy(server: TestRedis | undefined): Promise<string | undefined> {
  const info = await withRedisAt(server?.url ?? '', (redis) => redis.call('CLUSTER', 'INFO'));
  return /cluster_state:(\w+)/.exec(String(info))?.[1];
}

describeWithRedisBinary('a client of a cluster', () => {
  beforeAll(async () => {
    cluster = await TestCluster.start();
  });
  afterEach(() => {
    for (const redis of open.splice(0)) redis.disconnect();
  });
  afterAll(() => cluster.remove());

  // Each of them has its slot at another master.
  it.each(['{b24}', '{a}', '{b}'])('asks the master that holds %s for what names no key', async (prefix) => {
    for (const redis of [connect(connectPatiently, prefix), duplicateOf(connect(connectPatiently, prefix))]) {
      open.push(redis);
      const wanted = await runIdOfMasterOf(prefix);
      for (let i = 0; i < 10; i += 1) expect((await readRedisInfo(redis)).runId).toBe(wanted);
      expect(Math.abs((await readRedisClockMs(redis)) - Date.now())).toBeLessThan(5000);
    }
  });

  it('holds portals, and tells of their changes', async () => {
    const prefix = '{portals}';
    const redis = connect(connectPatiently, prefix);
    const keys = createKeys(prefix);
    const portals = createPortalStore({ redis, keys, sealer: createSealer(secretKeys), prefix });
    const subscriber = duplicateOf(redis);
    open.push(subscriber);
    const told: string[] = [];
    subscriber.on('message', (_channel: string, memberId: string) => told.push(memberId));
    await subscriber.subscribe(portalChangedChannel(prefix));
    await portals.save(emptyPortal('one'));
    await portals.save(emptyPortal('two'));
    expect([...(await portals.all())].toSorted()).toEqual(['one', 'two']);
    await waitUntil('both are told of', () => told.join() === 'one,two');
  });

  it('fails fast, waits patiently, and is seen to be another Redis, when its master dies', async () => {
    const fast = connect(connectFailingFast, '{b24}');
    const patient = connect(connectPatiently, '{b24}');
    await patient.set('{b24}:key', 'value');
    await waitUntil('it is ready', async () => (await fast.get('{b24}:key').catch(() => '')) === 'value');
    const contact = new RedisContact({
      redis: fast,
      keys: createKeys('{b24}'),
      secretKeys,
      nowMs: () => performance.now(),
    });
    const before = await contact.lookAgainIfDue();
    await cluster.masterOf('{b24}').then((master) => master?.kill());
    const startedAtMs = performance.now();
    await expect(fast.set('{b24}:key', 'fast')).rejects.toThrow(/closed|ready|redirections|timed out/);
    expect(performance.now() - startedAtMs).toBeLessThan(4000);
    expect(await patient.set('{b24}:key', 'patient')).toBe('OK');
    expect(contact.connection).toBeGreaterThan(0);
    await waitUntil('it goes on by itself', async () => (await fast.get('{b24}:key').catch(() => '')) === 'patient');
    const after = await contact.lookAgainIfDue();
    expect(after?.identity).toBeDefined();
    expect(after?.identity).not.toBe(before?.identity);
  });

  it('leaves a master that is frozen when another holds its slot, before its own time limit', async () => {
    const patient = connect(connectPatiently, '{a}');
    await patient.set('{a}:key', 'value');
    const [master] = cluster.shardOf('{a}');
    master?.freeze();
    const answer = patient.set('{a}:key', 'later');
    await waitUntil('another holds it', async () => ((await cluster.masterOf('{a}')) ?? master) !== master);
    const startedAtMs = performance.now();
    expect(await answer).toBe('OK');
    expect(performance.now() - startedAtMs).toBeLessThan(HALF_SOCKET_TIMEOUT_MS);
  });

  it('waits as long as it takes for a shard that is down altogether', async () => {
    const patient = connect(connectPatiently, '{b}');
    await patient.set('{b}:key', 'value');
    const shard = cluster.shardOf('{b}');
    for (const server of shard) await server.kill();
    const answer = patient.set('{b}:key', 'later');
    const [witness] = cluster.shardOf('{b24}').toReversed();
    await waitUntil('the cluster is down', async () => (await stateSeenBy(witness)) === 'fail');
    for (const server of shard) await server.start();
    expect(await answer).toBe('OK');
  });
});
