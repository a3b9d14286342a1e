import { RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { Keys } from '../../shared/keys.js';
import type { Redis } from '../../shared/redis.js';
import type { InstallationClaim } from './installation-claim.js';

/**
 * Anybody can post an installation, and each costs a call to the OAuth server: so they are limited, for each portal and in all. The
 * page has a share of its own: SENDER_IPS keeps strangers out of EVENTS_PATH, and from the page nothing can.
 */
export interface ProofLimits {
  /** Uses up one proof; answers 0, or how many milliseconds to wait. */
  take(claim: Pick<InstallationClaim, 'memberId' | 'source'>): Promise<number>;
}

const WINDOW_SECONDS = 60;
export const PROOFS_PER_PORTAL = 30;
const PROOFS_IN_ALL = 600;

export function createProofLimits(deps: { redis: Redis; keys: Keys; random?: () => number }): ProofLimits {
  const { redis, keys, random = Math.random } = deps;
  const common = { storeClient: redis, keyPrefix: '', duration: WINDOW_SECONDS };
  const ofPortal = new RateLimiterRedis({ ...common, points: PROOFS_PER_PORTAL });
  const inAll = new RateLimiterRedis({ ...common, points: PROOFS_IN_ALL });
  return {
    async take({ memberId, source }) {
      // The portal's own first: one that is used up must not use up those of all.
      const waitMs = await consume(ofPortal, keys.proofsOf(memberId, source), random);
      return waitMs > 0 ? waitMs : consume(inAll, keys.proofsInAll, random);
    },
  };
}

/** Those that come too many wait for as many windows as they fill, spread over them: else all of them would wake at once. */
async function consume(limiter: RateLimiterRedis, key: string, random: () => number): Promise<number> {
  try {
    await limiter.consume(key);
    return 0;
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal;
    const windows = Math.max(0, refusal.consumedPoints - limiter.points) / limiter.points;
    return Math.ceil(Math.max(1, refusal.msBeforeNext) + random() * windows * WINDOW_SECONDS * 1000);
  }
}
