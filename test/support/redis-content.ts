import type { Redis } from 'ioredis';
import { withRedisAt } from './redis-server.js';

/** All that stands in a Redis, keys and values, as one text to search. */
export async function everythingIn(redis: Redis): Promise<string> {
  const dump: unknown[] = [];
  for (const key of await redis.keys('*')) {
    dump.push(key, await readKey(redis, key));
  }
  return JSON.stringify(dump);
}

/** Keys that hold a text, in their name or in their value. */
export function keysHolding(url: string, text: string): Promise<readonly string[]> {
  return withRedisAt(url, async (redis) => {
    const found: string[] = [];
    for (const key of await redis.keys('*')) {
      if (`${key} ${JSON.stringify(await readKey(redis, key))}`.includes(text)) found.push(key);
    }
    return found;
  });
}

async function readKey(redis: Redis, key: string): Promise<unknown> {
  switch (await redis.type(key)) {
    case 'string':
      return redis.get(key);
    case 'hash':
      return redis.hgetall(key);
    case 'list':
      return redis.lrange(key, 0, -1);
    case 'set':
      return redis.smembers(key);
    case 'zset':
      return redis.zrange(key, '0', '-1');
    case 'stream':
      return redis.xrange(key, '-', '+');
    // It went away in between.
    case 'none':
      return undefined;
    default:
      throw new Error(`a key of a type that this search does not know: ${key}`);
  }
}
