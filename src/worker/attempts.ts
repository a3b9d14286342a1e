import { errorMessage } from '../shared/caught-error.js';
import type { BitrixEvent } from '../shared/bitrix24/event.js';
import type { Delivery, Secrets } from '../shared/delivery.js';
import { JobError, type JobErrorCode } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { Tracing } from '../shared/tracing/tracing.js';
import type { Lane } from './destination.js';
import type { Effect } from './effects/effect.js';
import { scrub } from './scrub.js';
import type { VerifiedDelivery } from './verifier.js';
import type { WorkerMetrics } from './worker-metrics.js';

/** What an effect is about. */
export interface Subject {
  readonly delivery: VerifiedDelivery;
  readonly event: BitrixEvent;
  readonly eventId: string;
  /** Only to keep them out of what is stored and logged. */
  readonly secrets: Secrets;
}

export type AttemptResult =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly error: JobError }
  /** Nothing was tried: the destination rests, or is full. */
  | { readonly kind: 'busy'; readonly retryAtMs: number }
  /** The job is no longer ours, so its run was stopped. */
  | { readonly kind: 'interrupted' };

export interface AttemptRun {
  readonly lane: Lane;
  /** 1 for the first; for the log. */
  readonly attempt: number;
  readonly signal: AbortSignal;
}

export interface AttemptsDeps {
  readonly logger: Logger;
  readonly metrics: Pick<WorkerMetrics, 'attempted'>;
  readonly tracing: Pick<Tracing, 'inSpan'>;
  readonly timeoutMs: number;
  readonly now: () => number;
}

interface AttemptLine extends Readonly<Record<string, string | number>> {
  readonly effect: string;
  readonly durationMs: number;
}

/** Not failures, but turns that have not come yet; none of them uses up an attempt. */
const WAITS: ReadonlySet<JobErrorCode> = new Set([
  'REST_BUDGET',
  'PORTAL_SUSPENDED',
  'HANDLER_UNAVAILABLE',
  'HANDLER_INTERRUPTED',
  'HANDLER_SET_ASIDE',
]);

/** One attempt at one effect: under its deadline, through its destination, and never beside another one of the same event. */
export class Attempts {
  readonly #deps: AttemptsDeps;
  readonly #running = new Map<string, Promise<unknown>>();

  constructor(deps: AttemptsDeps) {
    this.#deps = deps;
  }

  async make(effect: Effect, subject: Subject, run: AttemptRun): Promise<AttemptResult> {
    const key = `${subject.eventId}.${effect.name}`;
    // A job whose lock was lost may be given to this same process again, while its old run is still ending.
    while (this.#running.has(key)) await this.#running.get(key);
    const made = this.#attempt(effect, subject, run);
    this.#running.set(key, made);
    try {
      return await made;
    } finally {
      this.#running.delete(key);
    }
  }

  async #attempt(effect: Effect, subject: Subject, run: AttemptRun): Promise<AttemptResult> {
    if (run.signal.aborted) return { kind: 'interrupted' };
    const startedAtMs = this.#deps.now();
    const result = await throughDestination(effect, run, () => this.#runTraced(effect, subject, run));
    const durationMs = this.#deps.now() - startedAtMs;
    this.#tell(result, { effect: effect.name, ...logFields(subject), attempt: run.attempt, durationMs });
    return result;
  }

  /** One that was interrupted is made again, by whoever has its job then. */
  #tell(result: AttemptResult, line: AttemptLine): void {
    const { logger, metrics } = this.#deps;
    const { effect, durationMs } = line;
    if (result.kind === 'done') {
      logger.info({ event: 'effect.done', ...line }, 'done');
      metrics.attempted(effect, { outcome: 'done', durationMs });
    } else if (result.kind === 'failed') {
      const { code, message } = result.error;
      const outcome = WAITS.has(code) ? 'waits' : 'failed';
      logger.info({ event: `effect.${outcome}`, ...line, code, reason: message }, outcome);
      metrics.attempted(effect, { outcome, code, durationMs });
    } else if (result.kind === 'busy') metrics.attempted(effect, { outcome: 'waits', durationMs });
  }

  #runTraced(effect: Effect, subject: Subject, { attempt, signal }: AttemptRun): Promise<void> {
    const attributes = {
      'b24.delivery_id': subject.delivery.id,
      'b24.event_id': subject.eventId,
      'b24.attempt': attempt,
    };
    const span = { name: `effect ${effect.name}`, kind: 'client', attributes } as const;
    return this.#deps.tracing.inSpan(span, () => this.#runWithDeadline(effect, subject, signal));
  }

  /** Throws nothing but a JobError, by which the destination's breaker counts. */
  async #runWithDeadline(effect: Effect, subject: Subject, signal: AbortSignal): Promise<void> {
    const deadline = AbortSignal.timeout(this.#deps.timeoutMs);
    try {
      await effect.run({ ...subject, signal: AbortSignal.any([signal, deadline]) });
    } catch (error) {
      // What knows its own reason says more than that the time was over.
      if (error instanceof JobError) throw error;
      if (deadline.aborted && !signal.aborted) throw new JobError('EFFECT_TIMEOUT', undefined, { cause: error });
      throw new JobError('EFFECT_UNEXPECTED', scrub(errorMessage(error), subject.secrets), { cause: error });
    }
  }
}

async function throughDestination(effect: Effect, run: AttemptRun, work: () => Promise<void>): Promise<AttemptResult> {
  try {
    const used = effect.destination ? await effect.destination.use(run.lane, run.signal, work) : await work();
    return used?.kind === 'busy' ? used : { kind: 'done' };
  } catch (error) {
    if (run.signal.aborted) return { kind: 'interrupted' };
    if (error instanceof JobError) return { kind: 'failed', error };
    throw error;
  }
}

/** The fields by which the lines about one delivery are found. */
export function logFields(subject: { readonly delivery: Delivery; readonly eventId: string }): Record<string, string> {
  const { delivery, eventId } = subject;
  return { deliveryId: delivery.id, eventId, eventName: delivery.name, memberId: delivery.auth.memberId };
}
