import type { Delivery } from '../shared/delivery.js';
import { DELIVERY_JOB_OPTIONS, type DeliveryQueue, type RejectedJobData } from '../shared/queues.js';
import type { ConsumedJob, JobResult } from '../shared/queues-consumer.js';

/**
 * A forgery becomes a failed job at once, to be looked at. When a person retries it, because the token was wrong on our side, it
 * goes through the whole way again, as a new job of the same delivery.
 */
export interface RejectedProcessor {
  process(job: ConsumedJob<RejectedJobData>): Promise<JobResult<RejectedJobData>>;
}

export function createRejectedProcessor(deps: { queue: DeliveryQueue }): RejectedProcessor {
  return {
    async process({ id, data, isFirstRun, attemptsStarted }) {
      if (isFirstRun || !isWhole(data.delivery)) return { kind: 'failed', reason: data.reason };
      const jobId = `${id}~${attemptsStarted}`;
      await deps.queue.add(data.delivery.name, data.delivery, { ...DELIVERY_JOB_OPTIONS, jobId });
      return { kind: 'finished', outcome: 'retrying' };
    },
  };
}

function isWhole(delivery: RejectedJobData['delivery']): delivery is Delivery {
  return 'body' in delivery;
}
