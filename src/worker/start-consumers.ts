import type { Config } from '../shared/config.js';
import { isKeptWhenDone, readDelivery } from '../shared/delivery.js';
import { startConsumer, type Consumer, type ConsumerWatch } from '../shared/queues-consumer.js';
import type { EffectJobData, RejectedJobData } from '../shared/queues.js';
import type { Steps } from './build-steps.js';
import { createRejectedProcessor } from './rejected-processor.js';
import { REJECTED_MAX } from './rejections.js';
import { Progress } from './watch/progress.js';
import type { WorkerBase } from './worker-base.js';
import type { WorkerMetrics } from './worker-metrics.js';

const REJECTED_CONCURRENCY = 4;

export interface RunningConsumers {
  readonly consumers: readonly Consumer[];
  /** Of those that stand still only where something is wrong. */
  readonly progresses: readonly Progress[];
}

/** One for each queue, with what is done about its jobs. */
export function startConsumers(
  config: Config,
  base: WorkerBase,
  { deliver, retryEffect, metrics }: Steps & { readonly metrics: WorkerMetrics },
): RunningConsumers {
  const deliveries = new Progress('deliveries', config.deliveryConcurrency, () => performance.now());
  const effects = new Progress('effects', config.effectConcurrency, () => performance.now());
  const rejectedProcessor = createRejectedProcessor({ queue: base.deliveryQueue });
  const keep = { completedSeconds: config.keepCompletedSeconds, failedSeconds: config.keepFailedSeconds };
  const { redis, prefix, logger, tracing } = base;
  const common = { redis, prefix, logger, keep, telemetry: tracing.telemetry };
  const consumers = [
    startConsumer<unknown>({
      ...common,
      queue: 'deliveries',
      concurrency: deliveries.concurrency,
      watch: watchOf(deliveries, (run) => metrics.deliveryRan(run)),
      isKeptWhenDone: (data) => isKeptWhenDone(readDelivery(data)),
      process: (job, signal) => deliver.process(job, signal),
    }),
    startConsumer<EffectJobData>({
      ...common,
      queue: 'effects',
      concurrency: effects.concurrency,
      watch: watchOf(effects, (run) => metrics.effectRan(run)),
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
  return { consumers, progresses: [deliveries, effects] };
}

function watchOf<Data>(progress: Progress, count: ConsumerWatch<Data>['ends']): ConsumerWatch<Data> {
  return {
    begins: () => progress.begins(),
    ends(run) {
      progress.ends();
      count(run);
    },
  };
}
