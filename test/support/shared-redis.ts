import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createKeys, type Keys } from '../../src/shared/keys.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectPatiently, type Redis } from '../../src/shared/redis.js';

export const silentLogger = pino({ level: 'silent' });

/** A connection to the Redis that the tests share, with a prefix that no other test uses. */
export interface SharedRedisUse {
  readonly url: string;
  readonly prefix: string;
  readonly keys: Keys;
  readonly redis: Redis;
  /** Removes its keys, and disconnects. */
  close(): Promise<void>;
}

export function useSharedRedis(): SharedRedisUse {
  const url = process.env.TEST_REDIS_URL;
  if (url === undefined) throw new Error('TEST_REDIS_URL is not set: the global setup of the tests did not run');
  const prefix = `{test-${randomBytes(6).toString('hex')}}`;
  const redis = connectPatiently(singleRedis(url), silentLogger);
  return {
    url,
    prefix,
    keys: createKeys(prefix),
    redis,
    async close() {
      const keys = await redis.keys(`${prefix}*`);
      if (keys.length > 0) await redis.unlink(...keys);
      redis.disconnect();
    },
  };
}
