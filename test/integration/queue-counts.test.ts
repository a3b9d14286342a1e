import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { addDeliveries, loadOf } from '../../src/api/delivery-queue.js';
import { readQueueCounts } from '../../src/shared/queue-counts.js';
import { openQueue, type DeliveryQueue } from '../../src/shared/queues.js';
import type { Delivery } from '../../src/shared/delivery.js';
import { EMPTY_QUEUE } from '../support/queue-counts.js';
import { useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { withoutTracing } from '../../src/shared/tracing/tracing.js';

let shared: SharedRedisUse;
let queue: DeliveryQueue;

beforeEach(() => {
  shared = useSharedRedis();
  queue = openQueue('deliveries', shared.redis, shared.prefix);
});
afterEach(() => shared.close());

async function addJob(jobId: string, options: { timestamp?: number; delay?: number; priority?: number } = {}) {
  // What it carries is nothing to a look at the queue.
  await queue.add('job', {} as Delivery, { jobId, ...options });
}

describe('a look at a queue', () => {
  it('tells how long a delivery has waited since its receipt, the time in the journal included', async () => {
    const delivery = { id: 'delivery', name: 'ONAPPTEST', receivedAtMs: 1000 } as Delivery;
    expect(await addDeliveries(queue, [delivery], { timeoutMs: 2000, tracing: withoutTracing })).toEqual({
      confirmed: 1,
      error: undefined,
    });
    expect(await readQueueCounts(queue)).toMatchObject({ waiting: 1, oldestWaitingAtMs: 1000 });
  });

  it('counts for the gate of the drain what waits in a paused queue too', async () => {
    await addJob('before');
    await queue.pause();
    await addJob('after');
    expect(await loadOf(queue, shared.redis)).toMatchObject({ waitingDeliveries: 2 });
  });

  it('of which there is nothing yet finds nothing', async () => {
    expect(await readQueueCounts(queue)).toEqual(EMPTY_QUEUE);
  });

  it('counts, and tells since when the job waits that is next', async () => {
    await addJob('older', { timestamp: 1000 });
    await addJob('newer', { timestamp: 2000 });
    expect(await readQueueCounts(queue)).toMatchObject({ waiting: 2, oldestWaitingAtMs: 1000 });
  });

  it('counts what waits in a paused queue too, and says that it is paused', async () => {
    await addJob('before', { timestamp: 1000 });
    await queue.pause();
    await addJob('after');
    expect(await readQueueCounts(queue)).toMatchObject({ waiting: 2, isPaused: true, oldestWaitingAtMs: 1000 });
    await queue.resume();
    expect(await readQueueCounts(queue)).toMatchObject({ waiting: 2, isPaused: false });
  });

  it('tells when the first delayed job is due', async () => {
    const startedAtMs = Date.now();
    await addJob('later', { delay: 60_000 });
    await addJob('sooner', { delay: 30_000 });
    const { delayed, firstDueAtMs = 0 } = await readQueueCounts(queue);
    expect(delayed).toBe(2);
    expect(firstDueAtMs - startedAtMs).toBeGreaterThanOrEqual(30_000);
    expect(firstDueAtMs - startedAtMs).toBeLessThan(40_000);
  });

  it('finds those with a priority where nothing else waits', async () => {
    await addJob('urgent', { timestamp: 1000, priority: 5 });
    expect(await readQueueCounts(queue)).toMatchObject({ waiting: 1, oldestWaitingAtMs: 1000 });
  });
});
