import type { Config } from '../shared/config.js';
import { isKeptWhenDone, readDelivery } from '../shared/delivery.js';
import { startConsumer, type Consumer } from '../shared/queues-consumer.js';
import type { EffectJobData, RejectedJobData } from '../shared/queues.js';
import type { Steps } from './build-steps.js';
import { createRejectedProcessor } from './rejected-processor.js';
import { REJECTED_MAX } from './rejections.js';
import type { WorkerBase } from './worker-base.js';

const REJECTED_CONCURRENCY = 4;

/** One for each queue, with what is done about its jobs. */
export function startConsumers(config: Config, base: WorkerBase, { deliver, retryEffect }: Steps): readonly Consumer[] {
  const rejectedProcessor = createRejectedProcessor({ queue: base.deliveryQueue });
  const keep = { completedSeconds: config.keepCompletedSeconds, failedSeconds: config.keepFailedSeconds };
  const common = { redis: base.redis, prefix: base.prefix, logger: base.logger, keep };
  return [
    startConsumer<unknown>({
      ...common,
      queue: 'deliveries',
      concurrency: config.deliveryConcurrency,
      isKeptWhenDone: (data) => isKeptWhenDone(readDelivery(data)),
      process: (job, signal) => deliver.process(job, signal),
    }),
    startConsumer<EffectJobData>({
      ...common,
      queue: 'effects',
      concurrency: config.effectConcurrency,
      isKeptWhenDone: ({ delivery }) => isKeptWhenDone(delivery),
      process: (job, signal) => retryEffect.process(job, signal),
    }),
    startConsumer<RejectedJobData>({
      ...common,
      queue: 'rejected',
      concurrency: REJECTED_CONCURRENCY,
      keep: { ...keep, failedMax: REJECTED_MAX },
      process: (job) => rejectedProcessor.process(job),
    }),
  ];
}
