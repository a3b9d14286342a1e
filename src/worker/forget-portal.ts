import type { Delivery } from '../shared/delivery.js';
import type { DeliveryQueue, EffectJobData, EffectQueue, RejectedJobData, RejectedQueue } from '../shared/queues.js';
import type { Keys } from '../shared/keys.js';
import type { Redis } from '../shared/redis.js';
import type { WorkerBase } from './worker-base.js';

export type ForgetPortalDeps = Pick<
  WorkerBase,
  'redis' | 'keys' | 'rest' | 'deliveryQueue' | 'effectQueue' | 'rejectedQueue'
>;

const PAGE = 200;

/**
 * Deletes what is left of a portal from which the app was removed. What still waits for it is no matter of this: it is cancelled, one
 * by one, when its turn comes. With `isClean`, by the wish of its user, its ended jobs and the state of its connectors go too.
 */
export function createForgetPortal(
  deps: ForgetPortalDeps,
): (memberId: string, options: { readonly isClean: boolean; readonly signal: AbortSignal }) => Promise<void> {
  const { redis, keys, rest } = deps;
  return async (memberId, { isClean, signal }) => {
    await redis.del(keys.confirmation(memberId), keys.proofUnderWay(memberId), keys.mismatchesOf(memberId));
    await rest?.budget.forget(memberId);
    await rest?.renewals.forget(memberId);
    if (!isClean) return;
    await redis.del(keys.connectors(memberId));
    for (const queue of [deps.deliveryQueue, deps.effectQueue, deps.rejectedQueue]) {
      for (const state of ['completed', 'failed'] as const)
        await removeEnded(queue, state, { redis, keys, memberId, signal });
    }
  };
}

type AnyQueue = DeliveryQueue | EffectQueue | RejectedQueue;

/**
 * By a cursor: to read a whole state at once would stop Redis, and this process, for long; and pages that are counted from the start
 * would skip jobs while other portals are being removed from the same set.
 */
async function removeEnded(
  queue: AnyQueue,
  state: 'completed' | 'failed',
  { redis, keys, memberId, signal }: { redis: Redis; keys: Keys; memberId: string; signal: AbortSignal },
): Promise<void> {
  let cursor = '0';
  do {
    signal.throwIfAborted();
    const [next, found] = await redis.zscan(queue.toKey(state), cursor, 'COUNT', PAGE);
    cursor = next;
    // A scan gives each member and its score.
    const jobs = await Promise.all(found.filter((_, place) => place % 2 === 0).map((jobId) => queue.getJob(jobId)));
    for (const job of jobs) {
      if (!job || memberIdOf(job.data) !== memberId) continue;
      await redis.del(...keysOf(keys, job.data));
      await job.remove();
    }
  } while (cursor !== '0');
}

/** What is remembered of its event, and the results of a handler's steps. */
function keysOf(keys: Keys, data: Delivery | EffectJobData | RejectedJobData): string[] {
  if ('effect' in data) return [keys.event(data.eventId), keys.once(data.eventId, data.effect)];
  return [keys.event('delivery' in data ? data.delivery.eventId : data.eventId)];
}

function memberIdOf(data: Delivery | EffectJobData | RejectedJobData): string {
  return 'delivery' in data ? data.delivery.auth.memberId : data.auth.memberId;
}
