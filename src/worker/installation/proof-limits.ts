import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Keys } from '../../shared/keys.js';
import type { Redis } from '../../shared/redis.js';

/** Anybody can post an installation, and each costs a call to the OAuth server: so they are limited, per portal and in all. */
export interface ProofLimits {
  /** Uses up one proof; answers 0, or for how many milliseconds there is none left. */
  take(memberId: string): Promise<number>;
}

const WINDOW_SECONDS = 60;
export const PROOFS_PER_PORTAL = 6;
const PROOFS_IN_ALL = 300;

export function createProofLimits({ redis, keys }: { redis: Redis; keys: Keys }): ProofLimits {
  const common = { storeClient: redis, keyPrefix: '', duration: WINDOW_SECONDS };
  const ofPortal = new RateLimiterRedis({ ...common, points: PROOFS_PER_PORTAL });
  const inAll = new RateLimiterRedis({ ...common, points: PROOFS_IN_ALL });
  return {
    async take(memberId) {
      // The portal's own first: one that is used up must not use up those of all.
      const waitMs = await consume(ofPortal, keys.proofsOf(memberId));
      return waitMs > 0 ? waitMs : consume(inAll, keys.proofsInAll);
    },
  };
}

async function consume(limiter: RateLimiterRedis, key: string): Promise<number> {
  try {
    await limiter.consume(key);
    return 0;
  } catch (refusal) {
    if (refusal instanceof RateLimiterRes) return Math.max(1, refusal.msBeforeNext);
    throw refusal;
  }
}
