import { pointsOnly } from '../shared/bitrix24/event-id.js';
import type { Issue } from '../shared/bitrix24/event.js';
import { toBitrixEvent } from '../shared/bitrix24/to-event.js';
import { readDelivery, type Delivery } from '../shared/delivery.js';
import { JobError, codeOfReason } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { PortalStore } from '../shared/portals.js';
import type { Outcome } from '../shared/queues.js';
import type { ConsumedJob, JobResult } from '../shared/queues-consumer.js';
import type { Admission, Admitted } from './admission.js';
import { logFields, type Subject } from './attempts.js';
import { claimEvent } from './claim-event.js';
import type { Claims } from './claims.js';
import type { Effect } from './effects/effect.js';
import { cancelled, erasedAfterRemoval, forgetSteps } from './erasure.js';
import type { ClaimedRun, FirstRun } from './first-run.js';
import type { Verifier } from './verifier.js';

export interface DeliveryProcessorDeps {
  readonly logger: Logger;
  readonly admission: Admission;
  readonly verifier: Pick<Verifier, 'removalAfter'>;
  readonly portals: Pick<PortalStore, 'look'>;
  readonly claims: Claims;
  readonly effects: readonly Effect[];
  readonly firstRun: FirstRun;
  /** False where events are told apart by handler and second alone, as DEDUP_BY=handler-ts says to the letter. */
  readonly laterTwinsRun: boolean;
  readonly now: () => number;
}

type Verified = Extract<Admitted, { kind: 'verified' }>;
type Result = JobResult<unknown>;

interface LoggedRun {
  readonly delivery: Delivery;
  readonly result: Result;
  readonly isFirstRun: boolean;
  readonly durationMs: number;
}

const TOLD: Readonly<Record<Outcome['outcome'], string>> = {
  done: 'done',
  duplicate: 'duplicate',
  rejected: 'rejected',
  cancelled: 'cancelled: the app was removed from its portal',
  retrying: 'retrying: an effect that failed or waits goes on alone',
};

/** What is done with one delivery: verify, deduplicate, run the effects. */
export class DeliveryProcessor {
  readonly #deps: DeliveryProcessorDeps;

  constructor(deps: DeliveryProcessorDeps) {
    this.#deps = deps;
  }

  async process(job: ConsumedJob<unknown>, signal: AbortSignal): Promise<Result> {
    const startedAtMs = this.#deps.now();
    const delivery = readDelivery(job.data);
    const result = await this.#admitAndRun(delivery, job, signal);
    this.#logResult({ delivery, result, isFirstRun: job.isFirstRun, durationMs: this.#deps.now() - startedAtMs });
    return result;
  }

  async #admitAndRun(delivery: Delivery, job: ConsumedJob<unknown>, signal: AbortSignal): Promise<Result> {
    const admitted = await this.#deps.admission.admit(delivery, job, signal);
    const isAdmitted = admitted.kind === 'verified';
    const result = isAdmitted ? await this.#claimAndRun(admitted, signal) : admitted.result;
    const end = result.kind === 'failed' ? await this.#cancelledIfGone(delivery, result) : result;
    const isCancelled = end.kind === 'finished' && end.outcome === 'cancelled';
    // A run before this one may have ended with its worker.
    if (isCancelled && (isAdmitted || !job.isFirstRun)) await forgetSteps(delivery, this.#deps.effects);
    return end;
  }

  /** Its portal may have been erased while it ran. */
  async #cancelledIfGone(delivery: Delivery, otherwise: Result): Promise<Result> {
    const removal = await this.#deps.verifier.removalAfter(delivery);
    return removal ? cancelled(delivery, removal) : otherwise;
  }

  async #claimAndRun({ delivery, secrets }: Verified, signal: AbortSignal): Promise<Result> {
    const parsed = toBitrixEvent(delivery);
    const effects = parsed.ok ? this.#deps.effects.filter((effect) => effect.wants(parsed.event)) : [];
    const claim = await claimEvent(this.#deps.claims, {
      eventId: delivery.eventId,
      deliveryId: delivery.id,
      receivedAtMs: delivery.receivedAtMs,
      effects: effects.map((effect) => effect.name),
      pointsOnly: this.#deps.laterTwinsRun && parsed.ok && pointsOnly(parsed.event),
    });
    switch (claim.kind) {
      case 'finished':
        return { kind: 'finished', outcome: 'done' };
      case 'duplicate':
        return { kind: 'finished', outcome: 'duplicate' };
      case 'crashing':
        return failed(new JobError('EFFECT_CRASHED'));
      case 'claimed':
        if (!parsed.ok) return this.#failInvalid(claim.eventId, parsed.issues);
        return this.#runEffects({ delivery, secrets, event: parsed.event, eventId: claim.eventId }, effects, {
          ...claim,
          signal,
        });
      default:
        return claim satisfies never;
    }
  }

  /** The claim stays: duplicates are none the less duplicates, and a person's retry of this delivery takes it up. */
  async #failInvalid(eventId: string, issues: readonly Issue[]): Promise<Result> {
    await this.#deps.claims.release(eventId);
    return failed(new JobError('DATA_INVALID', issues.map(({ path, message }) => `${path}: ${message}`).join('; ')));
  }

  async #runEffects(subject: Subject, effects: readonly Effect[], run: ClaimedRun): Promise<Result> {
    try {
      const end = await this.#deps.firstRun.run(subject, effects, run);
      if (end === 'cancelled') return await this.#cancelledIfGone(subject.delivery, { kind: 'finished', outcome: end });
      if (end !== 'interrupted') return await this.#finished(subject.delivery, end);
      await this.#deps.claims.release(subject.eventId);
      return { kind: 'handed-back' };
    } catch (error) {
      // Whatever went wrong, the process is alive: it must not be counted as a crash of this event.
      await this.#deps.claims.release(subject.eventId).catch(() => undefined);
      throw error;
    }
  }

  async #finished(delivery: Delivery, outcome: 'done' | 'retrying'): Promise<Result> {
    const data = await erasedAfterRemoval(this.#deps.portals, delivery);
    return { kind: 'finished', outcome, ...(data && { data }) };
  }

  #logResult({ delivery, result, isFirstRun, durationMs }: LoggedRun): void {
    const { logger } = this.#deps;
    const line = { ...logFields({ delivery, eventId: delivery.eventId }), durationMs };
    switch (result.kind) {
      case 'finished':
        // A rejected one was told of where its reason is known.
        if (result.outcome === 'rejected') return undefined;
        return logger.info({ event: `delivery.${result.outcome}`, ...line }, TOLD[result.outcome]);
      case 'failed': {
        const { reason } = result;
        return logger.error(
          { event: 'delivery.failed', ...line, code: codeOfReason(reason), reason },
          'failed for good',
        );
      }
      case 'postponed':
        return logger[isFirstRun ? 'info' : 'debug'](
          { event: 'delivery.parked', ...line, code: 'PORTAL_UNKNOWN' },
          'parked: it cannot be verified yet',
        );
      case 'handed-back':
      case 'retry':
        return logger.info({ event: 'delivery.handed_back', ...line }, 'handed back to the queue');
      default:
        result satisfies never;
    }
  }
}

function failed(error: JobError): Result {
  return { kind: 'failed', reason: error.message };
}
