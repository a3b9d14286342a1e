import type { Keys } from './keys.js';
import { redisScript } from './redis-script.js';
import type { Redis } from './redis.js';

/**
 * Which workers live: each says so every few seconds, in one sorted set. The times are those of Redis, so that the clocks of the
 * machines need not agree.
 */
export interface WorkerName {
  /** 12 hex digits, new at each start. */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
}

export interface LiveWorker extends WorkerName {
  readonly seenAtMs: number;
}

interface Deps {
  readonly redis: Redis;
  readonly keys: Pick<Keys, 'workers'>;
}

/** One that has said nothing for so long is not counted as alive. */
const SILENT_MS = 30_000;
const FORGET_MS = 604_800_000;

const SAY_ALIVE = redisScript(`
local now = redis.call('TIME')
local nowMs = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[1], nowMs, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return nowMs
`);

/** Members and scores: of those seen lately (`since`), or of all others (`before`). */
const SEEN = redisScript(`
local now = redis.call('TIME')
local edge = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(ARGV[2])
if ARGV[1] == 'since' then return redis.call('ZRANGEBYSCORE', KEYS[1], edge, '+inf', 'WITHSCORES') end
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. edge, 'WITHSCORES')
`);

/** Also the proof that Redis takes a write: it is refused where Redis is full, read-only, or cannot write to its disk. */
export async function sayAlive({ redis, keys }: Deps, worker: WorkerName): Promise<void> {
  await SAY_ALIVE.run(redis, [keys.workers], [memberOf(worker), FORGET_MS]);
}

export async function forgetWorker({ redis, keys }: Deps, worker: WorkerName): Promise<void> {
  await redis.zrem(keys.workers, memberOf(worker));
}

/** Those that have said so within the last 30 seconds; the one that was silent for longest first. */
export async function liveWorkers({ redis, keys }: Deps): Promise<readonly LiveWorker[]> {
  return readWorkers(await SEEN.run(redis, [keys.workers], ['since', SILENT_MS]));
}

/** Those that ended without a word, or are cut off from Redis. */
export async function goneWorkers({ redis, keys }: Deps, silentMs: number): Promise<readonly LiveWorker[]> {
  return readWorkers(await SEEN.run(redis, [keys.workers], ['before', silentMs]));
}

function memberOf({ id, host, pid }: WorkerName): string {
  return `${id} ${pid} ${host}`;
}

function readWorkers(answer: unknown): readonly LiveWorker[] {
  const texts = Array.isArray(answer) ? answer.map(String) : [];
  return texts.flatMap((member, place) => {
    if (place % 2 === 1) return [];
    const [, id, pid, host] = /^([0-9a-f]{12}) (\d+) (.+)$/.exec(member) ?? [];
    if (id === undefined || host === undefined) return [];
    return [{ id, host, pid: Number(pid), seenAtMs: Number(texts[place + 1]) }];
  });
}
