import { randomBytes } from 'node:crypto';
import type { Keys } from './keys.js';
import { redisScript } from './redis-script.js';
import type { Redis } from './redis.js';

/**
 * Whether events of a portal come through: somebody has the portal send an ONAPPTEST with a word in it that only the two sides
 * know, and a worker notes when that word has come the whole way of an event, its application token verified.
 */
export interface Echoes {
  /** Gives the word to be sent; it holds for two minutes. */
  begin(memberId: string): Promise<string>;
  /** Whether it was a word that somebody waits for, of this portal. */
  hear(memberId: string, word: string): Promise<boolean>;
  isHeard(memberId: string, word: string): Promise<boolean>;
}

/** The parameter of `event.test`, which comes back under QUERY. */
export const ECHO_FIELD = 'b24_events_echo';

const KEPT_SECONDS = 120;
const WORD = /^[0-9a-f]{32}$/;

/** Not a word more stands in Redis than somebody waits for, whatever events bring. The same event may be heard again. */
const HEAR = redisScript(`
local known = redis.call('GET', KEYS[1])
if known == ARGV[2] then return 1 end
if known ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
`);

export function createEchoes({ redis, keys }: { redis: Redis; keys: Pick<Keys, 'echo'> }): Echoes {
  return {
    async begin(memberId) {
      const word = randomBytes(16).toString('hex');
      await redis.set(keys.echo(word), waitsFor(memberId), 'EX', KEPT_SECONDS);
      return word;
    },
    async hear(memberId, word) {
      if (!WORD.test(word)) return false;
      return (await HEAR.run(redis, [keys.echo(word)], [waitsFor(memberId), heardOf(memberId), KEPT_SECONDS])) === 1;
    },
    isHeard: async (memberId, word) => (await redis.get(keys.echo(word))) === heardOf(memberId),
  };
}

function waitsFor(memberId: string): string {
  return `waits for ${memberId}`;
}

function heardOf(memberId: string): string {
  return `heard of ${memberId}`;
}
