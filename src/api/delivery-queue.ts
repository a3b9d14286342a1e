import type { Delivery } from '../shared/delivery.js';
import { DELIVERY_JOB_OPTIONS, type DeliveryQueue } from '../shared/queues.js';
import { parseRedisInfo } from '../shared/redis-info.js';
import type { Redis } from '../shared/redis.js';
import type { QueueLoad } from './queue-gate.js';
import { withTimeLimit } from '../shared/time-limit.js';
import type { Tracing } from '../shared/tracing/tracing.js';

const LOAD_TIMEOUT_MS = 3000;

/** How many of the first deliveries are in the queue for certain, and why the next one is not. */
export interface AddResult {
  readonly confirmed: number;
  readonly error: unknown;
}

/**
 * Adds all of them in one tick, which costs the same as `addBulk` but tells for each whether it was stored. One that was not
 * answered may be stored nevertheless: sent again, the same job id makes it the same job. Nothing is added for undefined.
 */
export async function addDeliveries(
  queue: DeliveryQueue,
  deliveries: readonly (Delivery | undefined)[],
  { timeoutMs, tracing }: { readonly timeoutMs: number; readonly tracing: Tracing },
): Promise<AddResult> {
  const isAnswered = deliveries.map(() => false);
  let error: unknown;
  const adds = deliveries.map(async (delivery, index) => {
    try {
      if (delivery) {
        // With the time of its receipt a look at the queue tells how long it has waited in all.
        const options = { ...DELIVERY_JOB_OPTIONS, jobId: delivery.id, timestamp: delivery.receivedAtMs };
        await tracing.resume(delivery.trace, () => queue.add(delivery.name, delivery, options));
      }
      isAnswered[index] = true;
    } catch (failure) {
      error ??= failure;
    }
  });
  // A command in flight can stay pending beyond its own limit, while a proxy accepts and drops each new connection.
  await withTimeLimit(Promise.all(adds), timeoutMs, 'adding to the queue').catch((failure: unknown) => {
    error ??= failure;
  });
  const firstFailed = isAnswered.indexOf(false);
  return { confirmed: firstFailed === -1 ? deliveries.length : firstFailed, error };
}

export async function loadOf(queue: DeliveryQueue, redis: Redis): Promise<QueueLoad> {
  const both = Promise.all([queue.getJobCounts('wait', 'delayed', 'prioritized'), redis.info('memory')]);
  const [counts, info] = await withTimeLimit(both, LOAD_TIMEOUT_MS, 'the look at the queue');
  const waitingDeliveries = Object.values(counts).reduce((sum, count) => sum + count, 0);
  const { usedBytes, bytesMax } = parseRedisInfo(info);
  return { waitingDeliveries, usedBytes, bytesMax };
}
