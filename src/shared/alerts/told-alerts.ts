import type { Keys } from '../keys.js';
import type { Redis } from '../redis.js';
import { redisScript } from '../redis-script.js';
import { withTimeLimit } from '../time-limit.js';

/** Among all processes that see an alert, says which one tells of it. Every answer comes within a second, or is a rejection. */
export interface ToldAlerts {
  /**
   * To be called at each look at which the alert fires, with whether a note of it has arrived from this process.
   * Answers whether this process is the one that tells.
   */
  holds(name: string, seen: { readonly isTold: boolean; readonly sinceMs: number }): Promise<boolean>;
  /**
   * To be called when this process does not see it any more. Answers since when it held, where nobody sees it any more and it was
   * told, so that its end is to be told; to one of them only.
   */
  isOver(name: string): Promise<number | undefined>;
}

export interface ToldAlertsDeps {
  /** One that fails fast. */
  readonly redis: Redis;
  readonly keys: Keys;
  /** Of this process alone. */
  readonly id: string;
}

const TIMEOUT_MS = 1000;
/** One who was chosen to tell and did not within this time, because it ended, is followed by another. */
const CLAIM_MS = 120_000;
/** What lasts is told again. */
export const TOLD_AGAIN_MS = 3_600_000;
/** Who said for so long nothing of an alert sees it no more. */
const SEES_MS = 60_000;

// One hash for an alert: who tells of it (`teller`, until `until`, `told` once that was done), and `sees:<id>` for each that sees it.
// A full Redis must take these few bytes too: that it is full is one of the alerts.
const HEAD = `#!lua flags=allow-oom
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
`;

const HOLDS = redisScript(`${HEAD}
local teller, untilMs, told = unpack(redis.call('HMGET', KEYS[1], 'teller', 'until', 'told'))
redis.call('HSET', KEYS[1], 'sees:' .. ARGV[1], now)
redis.call('PEXPIRE', KEYS[1], 2 * ${TOLD_AGAIN_MS})
if not teller or tonumber(untilMs) <= now then
  redis.call('HDEL', KEYS[1], 'told')
  redis.call('HSET', KEYS[1], 'teller', ARGV[1], 'until', now + ${CLAIM_MS})
  redis.call('HSETNX', KEYS[1], 'since', ARGV[3])
  return 1
end
if teller == ARGV[1] and not told then
  if ARGV[2] == '1' then
    redis.call('HSET', KEYS[1], 'told', 1, 'until', now + ${TOLD_AGAIN_MS})
  else
    redis.call('HSET', KEYS[1], 'until', now + ${CLAIM_MS})
  end
end
return 0`);

const IS_OVER = redisScript(`${HEAD}
local alert = redis.call('HGETALL', KEYS[1])
local since = 0
for i = 1, #alert, 2 do
  if alert[i] == 'since' then since = tonumber(alert[i + 1]) end
  if alert[i]:sub(1, 5) == 'sees:' then
    if alert[i] == 'sees:' .. ARGV[1] or tonumber(alert[i + 1]) < now - ${SEES_MS} then
      redis.call('HDEL', KEYS[1], alert[i])
    else
      return 0
    end
  end
end
redis.call('DEL', KEYS[1])
return since`);

export function createToldAlerts({ redis, keys, id }: ToldAlertsDeps): ToldAlerts {
  return {
    async holds(name, { isTold, sinceMs }) {
      return (await answered(HOLDS.run(redis, [keys.alert(name)], [id, isTold ? 1 : 0, sinceMs]))) === 1;
    },
    async isOver(name) {
      const sinceMs = await answered(IS_OVER.run(redis, [keys.alert(name)], [id]));
      return typeof sinceMs === 'number' && sinceMs > 0 ? sinceMs : undefined;
    },
  };
}

function answered(answer: Promise<unknown>): Promise<unknown> {
  return withTimeLimit(answer, TIMEOUT_MS, 'the word on who tells of an alert');
}
