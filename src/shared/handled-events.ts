import type { Keys } from './keys.js';
import { redisScript } from './redis-script.js';
import type { Redis } from './redis.js';

/**
 * Which events the handlers ask for, as the worker with handlers tells that was started last: one without HANDLERS_DIR tells nothing.
 * What binds events at the portals reads it; handlers themselves are loaded by workers alone.
 */
export interface HandledEvents {
  /** Names of the handlers' events, patterns among them; takes the place of what was told before. Says whether that was another set. */
  replace(names: readonly string[]): Promise<boolean>;
  /** In no particular order; none where no worker with handlers has told any. */
  all(): Promise<readonly string[]>;
}

/**
 * At once, so that nobody reads the half of it. Where the same names stand there already nothing is written: a worker must be able
 * to start on a full Redis.
 */
const REPLACE = redisScript(`
local isSame = redis.call('SCARD', KEYS[1]) == #ARGV
for i = 1, #ARGV do isSame = isSame and redis.call('SISMEMBER', KEYS[1], ARGV[i]) == 1 end
if isSame then return 0 end
redis.call('DEL', KEYS[1])
for i = 1, #ARGV do redis.call('SADD', KEYS[1], ARGV[i]) end
return 1
`);

export function createHandledEvents({ redis, keys }: { redis: Redis; keys: Keys }): HandledEvents {
  return {
    async replace(names) {
      return (await REPLACE.run(redis, [keys.handledEvents], [...new Set(names)])) === 1;
    },
    all: () => redis.smembers(keys.handledEvents),
  };
}
