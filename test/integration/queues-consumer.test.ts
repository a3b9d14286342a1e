import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startConsumer, type Consumer, type JobResult } from '../../src/shared/queues-consumer.js';
import { openQueue, type DeliveryQueue } from '../../src/shared/queues.js';
import type { Delivery } from '../../src/shared/delivery.js';
import { silentLogger, useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

let shared: SharedRedisUse;
let queue: DeliveryQueue;
let consumer: Consumer | undefined;

beforeEach(() => {
  shared = useSharedRedis();
  queue = openQueue('deliveries', shared.redis, shared.prefix);
});
afterEach(async () => {
  await consumer?.stop(0);
  await shared.close();
});

function consume(process: (signal: AbortSignal) => Promise<JobResult<Delivery>>): void {
  consumer = startConsumer<Delivery>({
    queue: 'deliveries',
    redis: shared.redis,
    prefix: shared.prefix,
    logger: silentLogger,
    concurrency: 10,
    keep: { completedSeconds: 3600, failedSeconds: 3600 },
    process: (_job, signal) => process(signal),
  });
}

async function addJob(): Promise<void> {
  // What it carries is nothing to the consumer.
  await queue.add('job', {} as Delivery, { jobId: 'job-1' });
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

describe('a consumer that stops', () => {
  it('tells what is still under way after the grace to end, and hands it back to the queue', async () => {
    let isRunning = false;
    consume(async (signal) => {
      isRunning = true;
      await aborted(signal);
      return { kind: 'handed-back' };
    });
    await addJob();
    await waitUntil('it runs', () => isRunning);
    await consumer?.stop(50);
    expect(await queue.getJobState('job-1')).toBe('waiting');
  });
});

describe('a job', () => {
  it('whose processor throws is put off and not failed: something between us and Redis went wrong', async () => {
    consume(() => Promise.reject(new Error('OOM command not allowed')));
    await addJob();
    await waitUntil('it is put off', async () => (await queue.getJobState('job-1')) === 'delayed');
  });

  it('that fails for good carries the reason', async () => {
    consume(() => Promise.resolve({ kind: 'failed', reason: 'DATA_INVALID: because' }));
    await addJob();
    await waitUntil('it has failed', async () => (await queue.getJobState('job-1')) === 'failed');
    expect((await queue.getJob('job-1'))?.failedReason).toBe('DATA_INVALID: because');
  });
});
