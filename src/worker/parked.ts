import type { Keys } from '../shared/keys.js';
import { redisScript } from '../shared/redis-script.js';
import type { Redis } from '../shared/redis.js';

/**
 * Events of portals of which nothing is known yet. An installation may come after the first event, so they wait for it as delayed
 * jobs, within bounds: strangers can post what they like. The time counts from the first look at an event.
 *
 * Two sets: the jobs of one portal, so that its installation can release them at once, and all jobs by the time at which
 * they end. A job is also looked at every minute, which heals a release that came in between.
 */
export interface ParkingLot {
  /** `until`: look again then. `ended`: it has waited its time. `full`: there is no room for it. */
  park(
    memberId: string,
    jobId: string,
  ): Promise<{ kind: 'until'; atMs: number } | { kind: 'ended' } | { kind: 'full' }>;
  /** The job no longer waits. */
  leave(memberId: string, jobId: string): Promise<void>;
  /** The jobs of a portal, those that came first before the others. */
  jobsOf(memberId: string): Promise<readonly string[]>;
}

export interface ParkingDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly waitMs: number;
  readonly now: () => number;
}

export const PARKED_PER_PORTAL_MAX = 1000;
export const PARKED_MAX = 20_000;
const LOOK_EVERY_MS = 60_000;
/** Both sets are forgotten after this much more than the wait: no job of theirs can be left. */
const FORGET_SECONDS = 3600;

/** Answers the time at which the wait ends, or 0 where there is no room. */
const PARK = redisScript(`
local ofPortal, all, jobId, now, endsAt = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('ZSCORE', ofPortal, jobId)
if known then return known end
redis.call('ZREMRANGEBYSCORE', all, '-inf', now - 3600000)
if redis.call('ZCARD', ofPortal) >= tonumber(ARGV[4]) or redis.call('ZCARD', all) >= tonumber(ARGV[5]) then return '0' end
redis.call('ZADD', ofPortal, endsAt, jobId)
redis.call('ZADD', all, endsAt, jobId)
redis.call('EXPIRE', ofPortal, ARGV[6])
redis.call('EXPIRE', all, ARGV[6])
return ARGV[3]
`);

const LEAVE = redisScript(`
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('ZREM', KEYS[2], ARGV[1])
`);

export function createParkingLot(deps: ParkingDeps): ParkingLot {
  const { redis, keys, waitMs } = deps;
  return {
    async park(memberId, jobId) {
      const now = deps.now();
      const args = [
        jobId,
        now,
        now + waitMs,
        PARKED_PER_PORTAL_MAX,
        PARKED_MAX,
        Math.ceil(waitMs / 1000) + FORGET_SECONDS,
      ];
      const endsAtMs = Number(await PARK.run(redis, [keys.parkedOf(memberId), keys.parked], args));
      if (endsAtMs === 0) return { kind: 'full' };
      if (endsAtMs <= now) return { kind: 'ended' };
      return { kind: 'until', atMs: Math.min(endsAtMs, now + LOOK_EVERY_MS) };
    },
    async leave(memberId, jobId) {
      await LEAVE.run(redis, [keys.parkedOf(memberId), keys.parked], [jobId]);
    },
    jobsOf: (memberId) => redis.zrange(keys.parkedOf(memberId), '0', '-1'),
  };
}
