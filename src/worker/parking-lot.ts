import type { Keys } from '../shared/keys.js';
import { redisScript } from '../shared/redis-script.js';
import type { Redis } from '../shared/redis.js';

/**
 * Events of portals of which nothing is known yet. An installation may come after the first event, so they wait for it as delayed
 * jobs, within bounds: strangers can post what they like. The time counts from the first look at an event.
 *
 * The jobs of one portal are a set, so that its installation can release them at once. All of them together are a set of
 * places, each of {@link PLACE_BYTES}: a large event takes several. What waited in vain takes places in a third set for as long
 * as it is kept as a failed job. A parked job is also looked at every minute, which heals a release that came in between.
 */
export interface ParkingLot {
  /**
   * `until`: look again then. `ended`: it has waited its time. `full`: there is no room for it. While something is being decided
   * that it depends on (`isUndecided`), its time does not count.
   */
  park(
    job: ParkedJob & { readonly isUndecided?: boolean },
  ): Promise<{ kind: 'until'; atMs: number } | { kind: 'ended' } | { kind: 'full' }>;
  /** The job no longer waits. */
  leave(job: ParkedJob): Promise<void>;
  /** False where so many that waited in vain are kept already that this one would be too much. */
  keepAsFailed(job: Omit<ParkedJob, 'memberId'>): Promise<boolean>;
  /** The jobs of a portal, in no order. */
  jobsOf(memberId: string): Promise<readonly string[]>;
}

export interface ParkedJob {
  readonly memberId: string;
  readonly jobId: string;
  readonly bytes: number;
}

export interface ParkingDeps {
  readonly redis: Redis;
  readonly keys: Pick<Keys, 'parkedOf' | 'parked' | 'parkedInVain'>;
  readonly waitMs: number;
  readonly keepFailedMs: number;
  readonly now: () => number;
}

export const PARKED_PER_PORTAL_MAX = 1000;
export const PARKED_PLACES_MAX = 20_000;
const PLACE_BYTES = 4096;
const LOOK_EVERY_MS = 60_000;
/** Two looks, also where UNKNOWN_PORTAL_WAIT_SECONDS lets nothing wait. */
const UNDECIDED_MS = 2 * LOOK_EVERY_MS;
/** A set is forgotten this long after the last job of it has ended. */
const FORGET_MS = 3_600_000;

/** Takes places in the set that is the last key; answers 0 where there are not enough. */
const TAKE_PLACES = `
local function takePlaces(places, jobId, count, max, now, endsAt, forgetMs)
  redis.call('ZREMRANGEBYSCORE', places, '-inf', now - forgetMs)
  if redis.call('ZCARD', places) + count > max then return 0 end
  for place = 1, count do redis.call('ZADD', places, endsAt, jobId .. '#' .. place) end
  redis.call('PEXPIRE', places, endsAt - now + forgetMs)
  return 1
end
`;

/** Answers the time at which the wait ends, or 0 where there is no room. */
const PARK = redisScript(`${TAKE_PLACES}
local ofPortal, places, jobId, count = KEYS[1], KEYS[2], ARGV[1], tonumber(ARGV[2])
local now, endsAt, forgetMs = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local known = redis.call('ZSCORE', ofPortal, jobId)
if known and ARGV[8] == '0' then return known end
if known then
  redis.call('ZADD', ofPortal, endsAt, jobId)
  for place = 1, count do redis.call('ZADD', places, endsAt, jobId .. '#' .. place) end
  redis.call('PEXPIRE', ofPortal, endsAt - now + forgetMs)
  redis.call('PEXPIRE', places, endsAt - now + forgetMs)
  return ARGV[4]
end
if redis.call('ZCARD', ofPortal) >= tonumber(ARGV[6]) then return '0' end
if takePlaces(places, jobId, count, tonumber(ARGV[7]), now, endsAt, forgetMs) == 0 then return '0' end
redis.call('ZADD', ofPortal, endsAt, jobId)
redis.call('PEXPIRE', ofPortal, endsAt - now + forgetMs)
return ARGV[4]
`);

const LEAVE = redisScript(`
redis.call('ZREM', KEYS[1], ARGV[1])
for place = 1, tonumber(ARGV[2]) do redis.call('ZREM', KEYS[2], ARGV[1] .. '#' .. place) end
return 1
`);

const KEEP_AS_FAILED = redisScript(`${TAKE_PLACES}
return takePlaces(KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), 0)
`);

export function createParkingLot(deps: ParkingDeps): ParkingLot {
  const { redis, keys, waitMs } = deps;
  return {
    async park({ memberId, jobId, bytes, isUndecided = false }) {
      const now = deps.now();
      const endsAt = now + (isUndecided ? Math.max(waitMs, UNDECIDED_MS) : waitMs);
      const bounds = [FORGET_MS, PARKED_PER_PORTAL_MAX, PARKED_PLACES_MAX];
      const args = [jobId, placesOf(bytes), now, endsAt, ...bounds, isUndecided ? 1 : 0];
      const endsAtMs = Number(await PARK.run(redis, [keys.parkedOf(memberId), keys.parked], args));
      if (endsAtMs === 0) return { kind: 'full' };
      if (endsAtMs <= now) return { kind: 'ended' };
      return { kind: 'until', atMs: Math.min(endsAtMs, now + LOOK_EVERY_MS) };
    },
    async leave({ memberId, jobId, bytes }) {
      await LEAVE.run(redis, [keys.parkedOf(memberId), keys.parked], [jobId, placesOf(bytes)]);
    },
    async keepAsFailed({ jobId, bytes }) {
      const now = deps.now();
      const args = [jobId, placesOf(bytes), PARKED_PLACES_MAX, now, now + deps.keepFailedMs];
      return (await KEEP_AS_FAILED.run(redis, [keys.parkedInVain], args)) === 1;
    },
    jobsOf: (memberId) => redis.zrange(keys.parkedOf(memberId), '0', '-1'),
  };
}

function placesOf(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / PLACE_BYTES));
}
