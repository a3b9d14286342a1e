import { JobError } from '../shared/errors.js';
import type { Attempts, AttemptResult, Subject } from './attempts.js';
import type { Backoff } from './backoff.js';
import type { Claims, EffectState } from './claims.js';
import type { EffectJobs, HandOver } from './effect-jobs.js';
import type { Effect } from './effects/effect.js';
import type { Verifier } from './verifier.js';
import type { WaitingForPortal } from './waiting-for-portal.js';
import { effectJobId } from '../shared/queues.js';
import type { WorkerMetrics } from './worker-metrics.js';

export interface FirstRunDeps {
  readonly metrics: Pick<WorkerMetrics, 'eventDone'>;
  readonly attempts: Attempts;
  readonly claims: Claims;
  readonly verifier: Pick<Verifier, 'removalAfter'>;
  readonly effectJobs: EffectJobs;
  readonly waiting: Pick<WaitingForPortal, 'note' | 'isOver'>;
  readonly backoff: Backoff;
  readonly attemptsMax: number;
  readonly ageMsMax: number;
  readonly now: () => number;
}

/** What the claim on the event gave to this run. */
export interface ClaimedRun {
  readonly fence: number;
  readonly states: ReadonlyMap<string, EffectState>;
  readonly signal: AbortSignal;
}

type End = 'done' | 'handed' | 'interrupted' | 'cancelled';

/**
 * The first run of an event's effects, side by side in the job of its delivery. One that fails, or whose destination cannot
 * take it, is handed over to a job of its own, so that it holds back nothing else.
 *
 * The hand-over is noted before the job is added: a crash between the two leaves a note, by which the next run of this
 * delivery adds the job, under the same id.
 */
export class FirstRun {
  readonly #deps: FirstRunDeps;

  constructor(deps: FirstRunDeps) {
    this.#deps = deps;
  }

  /**
   * `retrying`: at least one effect was handed over. `interrupted`: at least one is left for another run. `cancelled`: one failed
   * whose portal is gone.
   */
  async run(
    subject: Subject,
    effects: readonly Effect[],
    claim: ClaimedRun,
  ): Promise<'done' | 'retrying' | 'interrupted' | 'cancelled'> {
    if (effects.length === 0) await this.#settle(subject);

    const ends = await Promise.all(effects.map((effect) => this.#runOne(subject, effect, claim)));
    if (ends.includes('interrupted')) return 'interrupted';
    if (ends.includes('cancelled')) return 'cancelled';
    return ends.includes('handed') ? 'retrying' : 'done';
  }

  async #runOne(subject: Subject, effect: Effect, claim: ClaimedRun): Promise<End> {
    const state = claim.states.get(effect.name) ?? { kind: 'run' };
    switch (state.kind) {
      case 'done':
        return 'done';
      case 'given-up':
        return 'handed';
      case 'handed':
        await this.#deps.effectJobs.add(subject, effect.name, readNote(state.note));
        return 'handed';
      case 'run':
        return this.#carryOut(subject, effect, claim);
      default:
        return state satisfies never;
    }
  }

  async #carryOut(subject: Subject, effect: Effect, claim: ClaimedRun): Promise<End> {
    const result = await this.#deps.attempts.make(effect, subject, { lane: 'first', attempt: 1, signal: claim.signal });
    if (result.kind === 'interrupted') return 'interrupted';
    if (result.kind === 'done') {
      await this.#settle(subject, effect.name);
      await effect.afterDone?.(subject.eventId);
      return 'done';
    }
    if (result.kind === 'failed' && (await this.#isGone(subject))) {
      await this.#deps.claims.settle(subject.eventId, effect.name);
      return 'cancelled';
    }
    const handOver = await this.#placeInLine(subject, effect, {
      result,
      handOver: this.#handOverAfter(subject, result),
    });
    const handed = await this.#deps.claims.handOver(subject.eventId, claim.fence, {
      effect: effect.name,
      note: JSON.stringify(handOver),
    });
    // Another run has taken over this delivery: whatever is left is its to do.
    if (!handed) return 'interrupted';
    await this.#deps.effectJobs.add(subject, effect.name, handOver);
    if (isSuspended(result) && (await this.#deps.waiting.isOver(subject.delivery.auth.memberId)))
      await this.#deps.effectJobs.release(subject, effect.name);
    return 'handed';
  }

  /** Its portal may be erased while it runs: nothing of it is to be written any more then, and no reason that may tell of it. */
  async #isGone({ delivery }: Subject): Promise<boolean> {
    return (await this.#deps.verifier.removalAfter(delivery)) !== undefined;
  }

  async #settle({ eventId, delivery }: Subject, effect?: string): Promise<void> {
    if (await this.#deps.claims.settle(eventId, effect)) this.#deps.metrics.eventDone(delivery);
  }

  /** Among those that wait for the same portal, or among the failed ones where too many wait. */
  async #placeInLine(
    { delivery, eventId }: Subject,
    effect: Effect,
    { result, handOver }: { result: AttemptResult; handOver: HandOver },
  ): Promise<HandOver> {
    if (!isSuspended(result)) return handOver;
    const jobId = effectJobId(eventId, effect.name, delivery.id);
    return (await this.#deps.waiting.note(delivery.auth.memberId, jobId)) ? handOver : givenUp(result.error);
  }

  #handOverAfter(subject: Subject, result: Extract<AttemptResult, { kind: 'failed' | 'busy' }>): HandOver {
    if (result.kind === 'busy') return { attemptsBefore: 0, notBeforeMs: result.retryAtMs };
    const { error } = result;
    const { attemptsMax, backoff, now } = this.#deps;
    const isLast = attemptsMax <= 1 && error.retryAfterMs === undefined;
    if (error.verdict === 'never' || isLast) return givenUp(error);
    if (now() > subject.delivery.receivedAtMs + this.#deps.ageMsMax)
      return givenUp(new JobError('EFFECT_EXPIRED', error.message));
    // An answer with Retry-After uses no attempt.
    if (error.retryAfterMs !== undefined) return { attemptsBefore: 0, notBeforeMs: now() + error.retryAfterMs };
    return { attemptsBefore: 1, notBeforeMs: now() + backoff.delayMs(1) };
  }
}

function isSuspended(result: AttemptResult): result is Extract<AttemptResult, { kind: 'failed' }> {
  return result.kind === 'failed' && result.error.code === 'PORTAL_SUSPENDED';
}

/** The job is there all the same, so that a person sees it among the failed ones. */
function givenUp(error: JobError): HandOver {
  return { attemptsBefore: 1, notBeforeMs: 0, givenUp: error.message };
}

function readNote(note: string): HandOver {
  // Written by `handOver` above, into a key that nobody else writes.
  return JSON.parse(note) as HandOver;
}
