import type { Delivery } from '../shared/delivery.js';
import type { DeliveryQueue, EffectJobData, EffectQueue, RejectedJobData, RejectedQueue } from '../shared/queues.js';
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
      for (const state of ['completed', 'failed'] as const) await removeEnded(queue, state, { memberId, signal });
    }
  };
}

type AnyQueue = DeliveryQueue | EffectQueue | RejectedQueue;

/** Page by page: to read a whole state at once would stop Redis, and this process, for long. */
async function removeEnded(
  queue: AnyQueue,
  state: 'completed' | 'failed',
  { memberId, signal }: { memberId: string; signal: AbortSignal },
): Promise<void> {
  for (let start = 0; ;) {
    signal.throwIfAborted();
    const jobs = await queue.getJobs([state], start, start + PAGE - 1, true);
    const own = jobs.filter((job) => memberIdOf(job.data) === memberId);
    for (const job of own) await job.remove();
    if (jobs.length < PAGE) return;
    start += jobs.length - own.length;
  }
}

function memberIdOf(data: Delivery | EffectJobData | RejectedJobData): string {
  return 'delivery' in data ? data.delivery.auth.memberId : data.auth.memberId;
}
