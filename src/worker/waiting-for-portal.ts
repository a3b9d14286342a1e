import type { Keys } from '../shared/keys.js';
import type { PortalStore } from '../shared/portals.js';
import { redisScript } from '../shared/redis-script.js';
import type { Redis } from '../shared/redis.js';

/**
 * The effects' jobs that wait until a portal can be called again, because it is unpaid, blocked, or its refresh token is dead. They
 * are delayed jobs that look again by themselves; this list lets the end of a suspension release them at once, and bounds them.
 */
export interface WaitingForPortal {
  /** False where too many wait already. */
  note(memberId: string, jobId: string): Promise<boolean>;
  /** Whether the portal can be called by now: asked after a job was put in line, so that a release in between is not missed. */
  isOver(memberId: string): Promise<boolean>;
  /** The longest waiting first. */
  jobsOf(memberId: string): Promise<readonly string[]>;
  leave(memberId: string, jobIds: readonly string[]): Promise<void>;
}

const WAITING_PER_PORTAL_MAX = 10_000;

const NOTE = redisScript(`
local key, jobId, now, keptMs, max = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', key, '-inf', now - keptMs)
if redis.call('ZSCORE', key, jobId) then return 1 end
if redis.call('ZCARD', key) >= max then return 0 end
redis.call('ZADD', key, now, jobId)
redis.call('PEXPIRE', key, keptMs)
return 1
`);

export function createWaitingForPortal(deps: {
  redis: Redis;
  keys: Keys;
  portals: Pick<PortalStore, 'find'>;
  /** No job waits for longer. */
  ageMsMax: number;
  now: () => number;
  max?: number;
}): WaitingForPortal {
  const { redis, keys } = deps;
  return {
    async note(memberId, jobId) {
      const args = [jobId, deps.now(), deps.ageMsMax, deps.max ?? WAITING_PER_PORTAL_MAX];
      return (await NOTE.run(redis, [keys.waitingFor(memberId)], args)) === 1;
    },
    async isOver(memberId) {
      const portal = await deps.portals.find(memberId);
      return (portal?.suspension ?? null) === null;
    },
    jobsOf: (memberId) => redis.zrange(keys.waitingFor(memberId), '0', '-1'),
    async leave(memberId, jobIds) {
      if (jobIds.length > 0) await redis.zrem(keys.waitingFor(memberId), ...jobIds);
    },
  };
}
