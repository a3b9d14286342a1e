import { effectJobId, type EffectJobData, type EffectQueue } from '../shared/queues.js';
import { promoted } from './moved-job.js';
import type { Subject } from './attempts.js';

/** Adds the jobs of single effects. Adding one twice adds it once. */
export interface EffectJobs {
  add(subject: Pick<Subject, 'delivery' | 'eventId'>, effect: string, handOver: HandOver): Promise<void>;
  /** Lets one that was added for later run now. */
  release(subject: Pick<Subject, 'delivery' | 'eventId'>, effect: string): Promise<void>;
}

/** What the job of an effect must know of the first run. */
export interface HandOver {
  readonly attemptsBefore: number;
  readonly notBeforeMs: number;
  /** The reason of a failure after which no attempt follows. */
  readonly givenUp?: string;
}

export function createEffectJobs(deps: { queue: EffectQueue; attemptsMax: number; now: () => number }): EffectJobs {
  return {
    async add(subject, effect, handOver) {
      const { attemptsBefore, notBeforeMs, givenUp } = handOver;
      const data: EffectJobData = {
        delivery: subject.delivery,
        eventId: subject.eventId,
        effect,
        attemptsBefore,
        ...(givenUp === undefined ? {} : { givenUp }),
      };
      await deps.queue.add(effect, data, {
        jobId: effectJobId(subject.eventId, effect, subject.delivery.id),
        delay: Math.max(0, notBeforeMs - deps.now()),
        // The processor counts; this is the bound beyond which BullMQ would not obey it.
        attempts: deps.attemptsMax + 1,
        backoff: { type: 'custom' },
      });
    },
    async release({ eventId, delivery }, effect) {
      const job = await deps.queue.getJob(effectJobId(eventId, effect, delivery.id));
      if (job) await promoted(job);
    },
  };
}
