import { toBitrixEvent } from '../shared/bitrix24/to-event.js';
import { readDelivery } from '../shared/delivery.js';
import { erased, isErased } from '../shared/erased-delivery.js';
import { JobError, codeOfReason } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { PortalStore, Removal } from '../shared/portals.js';
import type { EffectJobData } from '../shared/queues.js';
import type { ConsumedJob, JobResult } from '../shared/queues-consumer.js';
import { logFields, type Attempts, type Subject } from './attempts.js';
import type { Backoff } from './backoff.js';
import type { Claims } from './claims.js';
import type { Effect } from './effects/effect.js';
import { erasedAfterRemoval } from './erasure.js';
import type { Verifier } from './verifier.js';
import type { WaitingForPortal } from './waiting-for-portal.js';
import type { WorkerMetrics } from './worker-metrics.js';

export interface EffectProcessorDeps {
  readonly logger: Logger;
  readonly metrics: Pick<WorkerMetrics, 'eventDone'>;
  readonly verifier: Verifier;
  readonly claims: Claims;
  readonly effects: readonly Effect[];
  readonly attempts: Attempts;
  readonly backoff: Backoff;
  readonly portals: Pick<PortalStore, 'look'>;
  readonly waiting: Pick<WaitingForPortal, 'note' | 'isOver'>;
  readonly attemptsMax: number;
  readonly ageMsMax: number;
  readonly now: () => number;
}

type Result = JobResult<EffectJobData>;
type Job = ConsumedJob<EffectJobData>;
type About = Pick<Subject, 'delivery' | 'eventId'>;

/** Until a suspended portal is looked at again. */
const WAIT_MS = 900_000;

/**
 * One effect that failed in its delivery's job, tried again until it is done, refused, out of attempts or too old.
 *
 * Its age is looked at when the next attempt is planned and not when one begins, so that a person who retries an old failure
 * gets an attempt.
 */
export class EffectProcessor {
  readonly #deps: EffectProcessorDeps;

  constructor(deps: EffectProcessorDeps) {
    this.#deps = deps;
  }

  async process(job: Job, signal: AbortSignal): Promise<Result> {
    const carried = readDelivery(job.data.delivery);
    if (isErased(carried)) {
      await this.#effectOf(job)?.afterDone?.(job.data.eventId);
      return { kind: 'finished', outcome: 'cancelled' };
    }
    const { delivery, secrets } = this.#deps.verifier.verifiedBefore(carried);
    const effect = this.#effectOf(job);
    const parsed = toBitrixEvent(delivery);
    const subject = { delivery, secrets, eventId: job.data.eventId };
    const removal = await this.#deps.verifier.removalAfter(delivery);
    if (removal) return this.#cancel(job, subject, removal);
    if (job.data.givenUp !== undefined) return this.#failAsGivenUp(job, subject, job.data.givenUp);
    if (!effect) return this.#giveUp(job, subject, new JobError('EFFECT_NOT_CONFIGURED', job.data.effect));
    if (!parsed.ok) return this.#giveUp(job, subject, new JobError('DATA_INVALID'));
    return this.#run(job, effect, { subject: { ...subject, event: parsed.event }, signal });
  }

  #effectOf({ data }: Job): Effect | undefined {
    return this.#deps.effects.find(({ name }) => name === data.effect);
  }

  async #cancel(job: Job, { eventId, delivery }: About, { isClean }: Removal): Promise<Result> {
    const { effect } = job.data;
    await this.#deps.claims.settle(eventId, effect);
    await this.#effectOf(job)?.afterDone?.(eventId);
    this.#deps.logger.info(
      { event: 'effect.cancelled', effect, ...logFields({ eventId, delivery }) },
      'its portal is gone',
    );
    const data = { ...job.data, delivery: erased(delivery) };
    return { kind: 'finished', outcome: 'cancelled', ...(isClean && { data }) };
  }

  async #run(
    job: Job,
    effect: Effect,
    { subject, signal }: { subject: Subject; signal: AbortSignal },
  ): Promise<Result> {
    const start = await this.#deps.claims.beginEffect(subject.eventId, effect.name);
    if (start === 'done') return { kind: 'finished', outcome: 'done' };
    if (start === 'crashing') return this.#giveUp(job, subject, new JobError('EFFECT_CRASHED'));
    try {
      const attempt = attemptNumber(job);
      const result = await this.#deps.attempts.make(effect, subject, { lane: 'retry', attempt, signal });
      if (result.kind === 'done') {
        return await this.#done(job, effect, subject);
      }
      if (result.kind === 'failed') {
        // Its portal may have been erased while it ran; a reason may tell of the event.
        const removal = await this.#deps.verifier.removalAfter(subject.delivery);
        return await (removal ? this.#cancel(job, subject, removal) : this.#afterFailure(job, subject, result.error));
      }
      await this.#deps.claims.endEffect(subject.eventId, effect.name, 'waits');
      return result.kind === 'busy'
        ? await this.#postpone(job, subject, { untilMs: result.retryAtMs })
        : { kind: 'handed-back' };
    } catch (error) {
      // The process is alive: this must not be counted as a crash of the effect.
      await this.#deps.claims.endEffect(subject.eventId, effect.name, 'waits').catch(() => undefined);
      throw error;
    }
  }

  async #done(job: Job, effect: Effect, { delivery, eventId }: Subject): Promise<Result> {
    const isLast = await this.#deps.claims.settle(eventId, effect.name);
    await effect.afterDone?.(eventId);
    // The delivery's own job ended when it handed this effect over.
    if (isLast) {
      this.#deps.metrics.eventDone(delivery);
      this.#deps.logger.info({ event: 'event.done', ...logFields({ delivery, eventId }) }, 'all effects are done');
    }
    const rest = await erasedAfterRemoval(this.#deps.portals, delivery);
    return { kind: 'finished', outcome: 'done', ...(rest && { data: { ...job.data, delivery: rest } }) };
  }

  async #afterFailure(job: Job, subject: Subject, error: JobError): Promise<Result> {
    if (error.verdict === 'never') return this.#giveUp(job, subject, error);
    if (error.code === 'PORTAL_SUSPENDED') return this.#waitForPortal(job, subject, error);
    if (error.retryAfterMs !== undefined)
      return this.#postpone(job, subject, { untilMs: this.#deps.now() + error.retryAfterMs, error });
    if (attemptNumber(job) >= this.#deps.attemptsMax) return this.#giveUp(job, subject, error);
    const delayMs = this.#deps.backoff.delayMs(attemptNumber(job));
    if (this.#deps.now() + delayMs > this.#endsAtMs(job))
      return this.#giveUp(job, subject, new JobError('EFFECT_EXPIRED', error.message));
    await this.#deps.claims.endEffect(subject.eventId, job.data.effect, 'waits');
    return { kind: 'retry', reason: error.message, delayMs };
  }

  async #waitForPortal(job: Job, subject: Subject, error: JobError): Promise<Result> {
    const { waiting, now } = this.#deps;
    const { memberId } = subject.delivery.auth;
    if (!(await waiting.note(memberId, job.id))) return this.#giveUp(job, subject, error);
    const waitMs = (await waiting.isOver(memberId)) ? 0 : (error.retryAfterMs ?? WAIT_MS);
    return this.#postpone(job, subject, { untilMs: now() + waitMs, error });
  }

  /** Uses up no attempt, yet has an end: the last look is at the end of its age. */
  async #postpone(job: Job, subject: Subject, wait: { untilMs: number; error?: JobError }): Promise<Result> {
    if (this.#deps.now() >= this.#endsAtMs(job))
      return this.#giveUp(job, subject, new JobError('EFFECT_EXPIRED', wait.error?.message));
    await this.#deps.claims.endEffect(subject.eventId, job.data.effect, 'waits');
    return { kind: 'postponed', untilMs: Math.min(wait.untilMs, this.#endsAtMs(job)) };
  }

  async #giveUp(job: Job, about: About, error: JobError): Promise<Result> {
    await this.#noteGivenUp(job, about, error.message);
    return { kind: 'failed', reason: error.message };
  }

  /** The first attempt said *never*. The reason is taken off the job, so that it runs when a person retries it. */
  async #failAsGivenUp(job: Job, about: About, reason: string): Promise<Result> {
    await this.#noteGivenUp(job, about, reason);
    const { givenUp: _taken, ...data } = job.data;
    return { kind: 'failed', reason, data };
  }

  async #noteGivenUp(job: Job, about: About, reason: string): Promise<void> {
    const { effect, attemptsBefore } = job.data;
    await this.#deps.claims.endEffect(about.eventId, effect, 'given-up');
    await this.#effectOf(job)?.afterGivenUp?.(about.eventId);
    const line = {
      effect,
      ...logFields(about),
      attempt: attemptsBefore + job.attemptsMade,
      code: codeOfReason(reason),
      reason,
    };
    this.#deps.logger.error({ event: 'effect.given_up', ...line }, 'given up; it waits among the failed jobs');
  }

  #endsAtMs(job: Job): number {
    return job.data.delivery.receivedAtMs + this.#deps.ageMsMax;
  }
}

function attemptNumber(job: Job): number {
  return job.data.attemptsBefore + job.attemptsMade + 1;
}
