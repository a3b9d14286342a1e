import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { runDoctor } from '../support/doctor-run.js';
import { describeWithRedisBinary, startRedisServer, withRedisAt, type TestRedis } from '../support/redis-server.js';
import { waitUntil } from '../support/wait-until.js';

let master: TestRedis;
let replica: TestRedis;

const minReplicas = async (): Promise<object> => {
  const run = await runDoctor({ REDIS_URL: master.url, API_PORT: '0', API_OPS_PORT: '0', WORKER_OPS_PORT: '0' });
  return run.of('redis.min-replicas').map(({ status }) => status);
};

describeWithRedisBinary('doctor, of a Redis with a replica', () => {
  beforeAll(async () => {
    [master, replica] = await Promise.all([startRedisServer(), startRedisServer()]);
  });
  afterAll(() => Promise.all([master.remove(), replica.remove()]));

  it('warns where the master would confirm writes that no replica has, and nowhere else', async () => {
    expect(await minReplicas()).toEqual([]);
    await withRedisAt(replica.url, (redis) => redis.replicaof('127.0.0.1', master.port));
    await waitUntil('the replica is connected', async () => {
      const info = await withRedisAt(master.url, (redis) => redis.info('replication'));
      return info.includes('connected_slaves:1');
    });
    expect(await minReplicas()).toEqual(['warn']);
    await withRedisAt(master.url, (redis) => redis.config('SET', 'min-replicas-to-write', 1));
    expect(await minReplicas()).toEqual(['ok']);
  });
});
