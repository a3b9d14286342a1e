import { setTimeout as sleep } from 'node:timers/promises';
import type { Keys } from '../../shared/keys.js';
import type { Logger } from '../../shared/logger.js';
import type { RejectedQueue } from '../../shared/queues.js';
import type { Redis } from '../../shared/redis.js';
import { moved } from '../moved-job.js';

/**
 * Which jobs of a portal were rejected lately because of their token. Events overtake each other: one that is signed with a new
 * token may come before the update that brings it. So when a portal's token changes, the recent ones are looked at again.
 */
export interface Mismatches {
  note(memberId: string, jobId: string): Promise<void>;
  lookAgain(memberId: string): Promise<void>;
}

const PER_PORTAL_MAX = 1000;
const RECENT_MS = 900_000;
const ROUNDS = 5;
const ROUND_EVERY_MS = 300;

export function createMismatches(deps: {
  redis: Redis;
  keys: Keys;
  queue: RejectedQueue;
  logger: Logger;
  now: () => number;
}): Mismatches {
  const { redis, keys, queue } = deps;
  return {
    async note(memberId, jobId) {
      const key = keys.mismatchesOf(memberId);
      await redis
        .multi()
        .zadd(key, deps.now(), jobId)
        .zremrangebyrank(key, 0, -PER_PORTAL_MAX - 1)
        .pexpire(key, RECENT_MS)
        .exec();
    },
    async lookAgain(memberId) {
      const key = keys.mismatchesOf(memberId);
      let looked = 0;
      for (let round = 1; round <= ROUNDS; round += 1) {
        const jobIds = await redis.zrangebyscore(key, deps.now() - RECENT_MS, '+inf');
        for (const jobId of jobIds) {
          const job = await queue.getJob(jobId);
          // One that is just being rejected is not there yet, or has not failed yet.
          const isRetried = job !== undefined && (await moved(job.retry('failed')));
          looked += isRetried ? 1 : 0;
          if (isRetried || round === ROUNDS) await redis.zrem(key, jobId);
        }
        if (jobIds.length === 0) break;
        await sleep(ROUND_EVERY_MS);
      }
      if (looked > 0)
        deps.logger.info(
          { event: 'rejected.looked_at_again', memberId, count: looked },
          'the token of their portal changed',
        );
    },
  };
}
