import type { Keys } from '../../keys.js';
import { redisScript } from '../../redis-script.js';
import type { Redis } from '../../redis.js';

/**
 * What a portal takes of REST calls, shared by all workers: a leaky bucket for each portal
 * (https://apidocs.bitrix24.com/limits.html), kept in Redis, by the clock of Redis.
 *
 * It is counted as in the generic cell rate algorithm, by two times in a hash. `sent` is when the bucket will be empty again, by the
 * calls that went out. `line` is the same with the places of those who wait for their turn, so `sent` <= `line`. One more call
 * may go when the time, moved on by one interval, is not more than the whole bucket ahead of now.
 *
 * Who must wait gets a place at the end of the line (`run:<key>`, when and for how many calls), and comes back when it is due:
 * however long the line is, it moves. A run that leaves the line begins anew later, so its place is for all the calls that it will
 * make again. A place that is used late is still paid by `sent`, so that a hundred late ones do not go at once; those that come
 * too many at a time go to the end of the line. `shift` moves all places at once, when a portal says that it is full.
 *
 * A field `method:<name>` says until when that method rests.
 */
export interface RestBudget {
  take(request: BudgetRequest): Promise<BudgetAnswer>;
  /** The portal itself says that its bucket is full: it is called by others, too. */
  penalize(memberId: string, isEnterprise: boolean): Promise<void>;
  /** Lets one method of a portal rest. */
  block(memberId: string, method: string, forMs: number): Promise<void>;
  /** Removes all that is kept of a portal. */
  forget(memberId: string): Promise<void>;
}

export interface BudgetRequest {
  readonly memberId: string;
  readonly isEnterprise: boolean;
  readonly method: string;
  /** The same when it comes back. */
  readonly runKey: string;
  /** How many calls the run has made so far, and this one. */
  readonly calls: number;
  /** Longer than this it does not wait in place. */
  readonly inPlaceMsMax: number;
}

export type BudgetAnswer =
  | { readonly kind: 'go' }
  /** Ask again then, without giving up the slot of the run. */
  | { readonly kind: 'wait'; readonly ms: number }
  /** The run ends, and comes back then. */
  | { readonly kind: 'later'; readonly ms: number };

export interface BudgetLimits {
  readonly callsPerSecond: number;
  readonly burst: number;
}

export interface RestBudgetDeps {
  readonly redis: Redis;
  readonly keys: Pick<Keys, 'restBudget' | 'restPlaces'>;
  readonly limits?: Readonly<Record<'standard' | 'enterprise', BudgetLimits>>;
}

/** A little less than the 50 and 250 at which a portal refuses: calls arrive closer together than they were let go. */
const LIMITS = { standard: { callsPerSecond: 2, burst: 45 }, enterprise: { callsPerSecond: 5, burst: 240 } } as const;
/** How late a place may be taken: a queue that is behind brings its jobs late. */
const PLACE_MS = 600_000;
const STATE_MS = 86_400_000;

/** KEYS: the hash, the places by the time when they are given up. ARGV: interval, burst. */
const STATE = `
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local function number(field) return tonumber(redis.call('HGET', KEYS[1], field) or '0') end
local function write(field, value) redis.call('HSET', KEYS[1], field, string.format('%.3f', value)) end
local shift = number('shift')
local sent = math.max(number('sent'), now)
local line = math.max(number('line'), sent)
local function expire()
  local ms = math.ceil(math.max(${STATE_MS}, line - now + ${PLACE_MS}))
  redis.call('PEXPIRE', KEYS[1], ms)
  redis.call('PEXPIRE', KEYS[2], ms)
end
`;

/** ARGV from 3: run, calls, longest wait in place, method. */
const TAKE = redisScript(`${STATE}
local run, calls, inPlace, method = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local rests = number('method:' .. method)
if rests > now then return {'later', math.ceil(rests - now)} end
if rests > 0 then redis.call('HDEL', KEYS[1], 'method:' .. method) end

local function giveUp(name)
  redis.call('ZREM', KEYS[2], name)
  redis.call('HDEL', KEYS[1], 'run:' .. name)
end
for _, name in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, 20)) do giveUp(name) end

-- Putting off a run that needs more than the bucket holds would only repeat it.
local function answer(ms)
  local stays = ms <= inPlace or calls > burst
  return {stays and 'wait' or 'later', math.ceil(ms)}
end

local place = redis.call('HGET', KEYS[1], 'run:' .. run)
if place then
  local at, left = string.match(place, '^(%S+) (%d+)$')
  local due = tonumber(at) + shift
  if due > now then return answer(due - now) end
  if sent + interval - burst * interval <= now then
    write('sent', sent + interval)
    if tonumber(left) > 1 then
      redis.call('HSET', KEYS[1], 'run:' .. run, at .. ' ' .. (tonumber(left) - 1))
    else
      giveUp(run)
    end
    expire()
    return {'go', 0}
  end
  giveUp(run)
end

local wait = line + interval - burst * interval - now
if wait <= 0 then
  write('sent', sent + interval)
  write('line', line + interval)
  expire()
  return {'go', 0}
end
local places = (wait <= inPlace or calls > burst) and 1 or calls
line = line + places * interval
local due = line - burst * interval
write('line', line)
redis.call('HSET', KEYS[1], 'run:' .. run, string.format('%.3f', due - shift) .. ' ' .. places)
redis.call('ZADD', KEYS[2], due + ${PLACE_MS}, run)
expire()
return answer(due - now)
`);

const PENALIZE = redisScript(`${STATE}
local more = math.max(0, now + burst * interval - sent)
line = line + more
write('sent', sent + more)
write('line', line)
write('shift', shift + more)
expire()
`);

/** ARGV: method, for how long. */
const BLOCK = redisScript(`
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local field = 'method:' .. ARGV[1]
local until_ms = math.max(now + ARGV[2], tonumber(redis.call('HGET', KEYS[1], field) or '0'))
redis.call('HSET', KEYS[1], field, string.format('%.0f', until_ms))
if redis.call('PTTL', KEYS[1]) < ${STATE_MS} then redis.call('PEXPIRE', KEYS[1], ${STATE_MS}) end
`);

export function createRestBudget({ redis, keys, limits = LIMITS }: RestBudgetDeps): RestBudget {
  return {
    async take({ memberId, isEnterprise, method, runKey, calls, inPlaceMsMax }) {
      const args = [...bucketOf(isEnterprise), runKey, calls, inPlaceMsMax, method];
      return toAnswer(await TAKE.run(redis, keysOf(memberId), args));
    },
    async penalize(memberId, isEnterprise) {
      await PENALIZE.run(redis, keysOf(memberId), bucketOf(isEnterprise));
    },
    async block(memberId, method, forMs) {
      await BLOCK.run(redis, [keys.restBudget(memberId)], [method, Math.ceil(forMs)]);
    },
    async forget(memberId) {
      await redis.unlink(...keysOf(memberId));
    },
  };

  function keysOf(memberId: string): string[] {
    return [keys.restBudget(memberId), keys.restPlaces(memberId)];
  }

  function bucketOf(isEnterprise: boolean): number[] {
    const { callsPerSecond, burst } = isEnterprise ? limits.enterprise : limits.standard;
    return [1000 / callsPerSecond, burst];
  }
}

function toAnswer(answer: unknown): BudgetAnswer {
  const [kind, ms] = answer as [BudgetAnswer['kind'], number];
  return kind === 'go' ? { kind } : { kind, ms };
}
