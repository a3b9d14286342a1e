import { errorMessage } from './caught-error.js';
import { createHash } from 'node:crypto';
import type { Redis } from './redis.js';

/** A Lua script: carried out whole or not at all, with no other command in between. */
export interface RedisScript {
  /** Answers what the script returns. All keys must carry the same hash tag, so that they live in one slot of a cluster. */
  run(redis: Redis, keys: readonly string[], args: readonly (string | number)[]): Promise<unknown>;
}

export function redisScript(lua: string): RedisScript {
  const sha = createHash('sha1').update(lua).digest('hex');
  return {
    async run(redis, keys, args) {
      try {
        return await redis.evalsha(sha, keys.length, ...keys, ...args);
      } catch (error) {
        // Redis forgets scripts at a restart and does not hand them to a replica that becomes master.
        if (!errorMessage(error).startsWith('NOSCRIPT')) throw error;
        return redis.eval(lua, keys.length, ...keys, ...args);
      }
    },
  };
}
