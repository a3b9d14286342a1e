import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { loadConfig } from '../../src/shared/config.js';
import { redisAddressOf } from '../../src/shared/redis-address.js';
import { connectPatiently, duplicateOf, type Redis } from '../../src/shared/redis.js';
import { TestSentinels } from '../support/redis-sentinels.js';
import { describeWithRedisBinary } from '../support/redis-server.js';
import { silentLogger } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

let sentinels: TestSentinels;
let redis: Redis;
let duplicate: Redis;

/** Of a connection's own limit, after which it would look for the master by itself. */
const HALF_SOCKET_TIMEOUT_MS = 10_000;

describeWithRedisBinary('a patient client of Sentinels', () => {
  beforeEach(async () => {
    sentinels = await TestSentinels.start();
    redis = connectPatiently(redisAddressOf(loadConfig(sentinels.env)), silentLogger);
    duplicate = duplicateOf(redis);
  });
  afterEach(async () => {
    redis.disconnect();
    duplicate.disconnect();
    await sentinels.remove();
  });

  it('leaves a master that is frozen as soon as another is named', async () => {
    await Promise.all([redis.set('key', 1), duplicate.set('other', 1)]);
    sentinels.first.freeze();
    const answers = Promise.all([redis.set('key', 2), duplicate.set('other', 2)]);
    await waitUntil('another server is the master', async () => {
      const master = await sentinels.master();
      return master !== undefined && master !== sentinels.first;
    });
    const startedAtMs = performance.now();
    expect(await answers).toEqual(['OK', 'OK']);
    expect(performance.now() - startedAtMs).toBeLessThan(HALF_SOCKET_TIMEOUT_MS);
  });
});
