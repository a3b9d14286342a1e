import { randomUUID } from 'node:crypto';
import type { Keys } from '../../keys.js';
import { redisScript } from '../../redis-script.js';
import type { Redis } from '../../redis.js';

/**
 * One lock per portal, so that of all processes one renews. It ends by itself, because its holder may die; a holder that has
 * failed leaves it behind as a rest, so that not everybody who waits asks the OAuth server again at once.
 */
export interface RenewalLocks {
  acquire(memberId: string): Promise<RenewalLock | undefined>;
  state(memberId: string): Promise<LockState>;
}

export interface RenewalLock {
  release(): Promise<void>;
  rest(forMs: number): Promise<void>;
}

export type LockState =
  { readonly kind: 'free' } | { readonly kind: 'held' } | { readonly kind: 'resting'; readonly leftMs: number };

export interface RenewalLocksDeps {
  readonly redis: Redis;
  readonly keys: Pick<Keys, 'renewalLock'>;
  /** Longer than any holder works. */
  readonly ttlMs: number;
}

const RESTING = 'resting';

const RELEASE = redisScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
`);

const REST = redisScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('SET', KEYS[1], '${RESTING}', 'PX', ARGV[2]) end
`);

export function createRenewalLocks({ redis, keys, ttlMs }: RenewalLocksDeps): RenewalLocks {
  return {
    async acquire(memberId) {
      const key = keys.renewalLock(memberId);
      const owner = randomUUID();
      if ((await redis.set(key, owner, 'PX', ttlMs, 'NX')) !== 'OK') return undefined;
      return {
        async release() {
          await RELEASE.run(redis, [key], [owner]);
        },
        async rest(forMs) {
          await REST.run(redis, [key], [owner, forMs]);
        },
      };
    },
    async state(memberId) {
      const key = keys.renewalLock(memberId);
      const value = await redis.get(key);
      if (value === null) return { kind: 'free' };
      if (value !== RESTING) return { kind: 'held' };
      return { kind: 'resting', leftMs: Math.max(1, await redis.pttl(key)) };
    },
  };
}
