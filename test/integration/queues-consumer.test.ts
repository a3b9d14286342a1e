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

async function addJob(timestamp = Date.now()): Promise<void> {
  // What it carries is nothing to the consumer.
  await queue.add('job', {} as Delivery, { jobId: 'job-1', timestamp });
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

  it('is put off for longer each time, however old its event is', async () => {
    consume(() => Promise.reject(new Error('the connection is lost')));
    await addJob(Date.now() - 3_600_000);
    const delays: number[] = [];
    for (let count = 0; count < 3; count += 1) {
      await waitUntil('it is put off', async () => (await queue.getJobState('job-1')) === 'delayed');
      const job = await queue.getJob('job-1');
      delays.push(Math.round((job?.delay ?? 0) / 1000));
      await job?.promote();
      await waitUntil('it runs again', async () => ((await queue.getJob('job-1'))?.attemptsStarted ?? 0) > count + 1);
    }
    expect(delays).toEqual([1, 2, 4]);
  });

  it('that fails for good carries the reason', async () => {
    consume(() => Promise.resolve({ kind: 'failed', reason: 'DATA_INVALID: because' }));
    await addJob();
    await waitUntil('it has failed', async () => (await queue.getJobState('job-1')) === 'failed');
    expect((await queue.getJob('job-1'))?.failedReason).toBe('DATA_INVALID: because');
  });
});
