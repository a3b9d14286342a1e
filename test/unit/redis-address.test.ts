import { describe, expect, it } from '@jest/globals';
import { ConfigError, loadConfig } from '../../src/shared/config.js';
import { isRedisGiven, redisAddressOf, redisInWords, singleRedis } from '../../src/shared/redis-address.js';
import { parseRedisInfo } from '../../src/shared/redis-info.js';
import { parseRedisNode } from '../../src/shared/redis-node.js';

const SENTINELS = { REDIS_SENTINELS: 'one.example:26379,[::1]:26380', REDIS_SENTINEL_NAME: 'events' };
const CLUSTER = { REDIS_CLUSTER_NODES: '10.0.0.1:7000, 10.0.0.2:7001' };
const URL_WITH_SECRETS = 'rediss://worker:p%40ss@redis.example:6380/3';

function addressOf(env: NodeJS.ProcessEnv): ReturnType<typeof redisAddressOf> {
  return redisAddressOf(loadConfig(env));
}

describe('redisAddressOf', () => {
  it('is one server on this machine where nothing is set', () => {
    expect(addressOf({})).toEqual(singleRedis('redis://127.0.0.1:6379'));
    expect(isRedisGiven(loadConfig({}))).toBe(false);
  });

  it('reads user, password, database and TLS from REDIS_URL', () => {
    expect(addressOf({ REDIS_URL: URL_WITH_SECRETS })).toEqual({
      kind: 'single',
      node: { host: 'redis.example', port: 6380 },
      access: { username: 'worker', password: 'p@ss', db: 3, family: 0, tls: { ca: undefined } },
    });
    expect(singleRedis('redis://[::1]?family=6&db=2')).toMatchObject({
      node: { host: '::1', port: 6379 },
      access: { family: 6, db: 2, tls: undefined },
    });
  });

  it.each([
    ['Sentinels', SENTINELS, { kind: 'sentinel', name: 'events', password: 'other' }],
    ['a cluster', CLUSTER, { kind: 'cluster', prefix: '{b24}' }],
  ])('with %s takes the access alone from REDIS_URL', (_, env, wanted) => {
    const all = { ...env, REDIS_URL: 'rediss://worker:p%40ss@not-looked-at', REDIS_SENTINEL_PASSWORD: 'other' };
    expect(addressOf(all)).toMatchObject({
      ...wanted,
      access: { username: 'worker', password: 'p@ss', tls: { ca: undefined } },
    });
    expect(addressOf(env)).toMatchObject({ access: { username: undefined, password: undefined, tls: undefined } });
    expect(isRedisGiven(loadConfig(env))).toBe(true);
  });

  it('refuses a database with a cluster, and shows nothing of the address', () => {
    const load = (): unknown => loadConfig({ ...CLUSTER, REDIS_URL: URL_WITH_SECRETS });
    expect(load).toThrow(ConfigError);
    expect(load).toThrow(/REDIS_URL: expected no database, because a cluster .* has only one; got one$/);
    expect(addressOf({ ...SENTINELS, REDIS_URL: URL_WITH_SECRETS })).toMatchObject({ access: { db: 3 } });
  });
});

describe('redisInWords', () => {
  it('names where Redis is, and no secret', () => {
    const secrets = { REDIS_URL: 'rediss://worker:p%40ss@redis.example:6380', REDIS_SENTINEL_PASSWORD: 'other' };
    expect(redisInWords(addressOf(secrets))).toBe('rediss://redis.example:6380');
    expect(redisInWords(addressOf({ ...secrets, ...SENTINELS }))).toBe(
      'rediss: the master "events" of the Sentinels one.example:26379, [::1]:26380',
    );
    expect(redisInWords(addressOf(CLUSTER))).toBe('redis: the cluster of 10.0.0.1:7000, 10.0.0.2:7001');
  });
});

describe('parseRedisNode', () => {
  it('takes host:port, an IPv6 address in brackets, and nothing else', () => {
    expect(parseRedisNode('redis-1.example:7000')).toEqual({ host: 'redis-1.example', port: 7000 });
    expect(parseRedisNode('[fe80::1]:26379')).toEqual({ host: 'fe80::1', port: 26_379 });
    for (const wrong of ['redis-1', 'redis-1:', ':7000', '::1:7000', 'redis:0', 'redis:70000', 'redis://redis:1', ''])
      expect(parseRedisNode(wrong)).toBeUndefined();
  });
});

describe('parseRedisInfo', () => {
  it('reads what a server tells', () => {
    const text = [
      '# Server\r\nredis_version:7.2.4\r\nrun_id:0a1b\r\nuptime_in_seconds:12',
      'used_memory:1000\r\nmaxmemory:2000\r\nmaxmemory_policy:noeviction',
      'loading:0\r\nasync_loading:0\r\naof_enabled:1\r\naof_last_write_status:err\r\nrdb_last_bgsave_status:ok',
      'role:slave\r\nconnected_slaves:2\r\n',
    ].join('\r\n');
    expect(parseRedisInfo(text)).toEqual({
      version: '7.2.4',
      runId: '0a1b',
      role: 'replica',
      usedBytes: 1000,
      bytesMax: 2000,
      evictionPolicy: 'noeviction',
      isAppendOnly: true,
      isLoading: false,
      lastSaveOk: false,
      replicas: 2,
    });
  });
});
