import { pointsOnly } from '../shared/bitrix24/event-id.js';
import type { Issue } from '../shared/bitrix24/event.js';
import { toBitrixEvent } from '../shared/bitrix24/to-event.js';
import { readDelivery, type Delivery } from '../shared/delivery.js';
import { JobError, codeOfReason } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import type { ConsumedJob, JobResult } from '../shared/queues-consumer.js';
import { logFields, type Subject } from './attempts.js';
import { claimEvent } from './claim-event.js';
import type { Claims } from './claims.js';
import type { Effect } from './effects/effect.js';
import type { ClaimedRun, FirstRun } from './first-run.js';
import type { ParkingLot } from './parking-lot.js';
import type { Rejections } from './rejections.js';
import type { Verification, Verifier } from './verifier.js';

export interface DeliveryProcessorDeps {
  readonly logger: Logger;
  readonly verifier: Verifier;
  readonly parking: ParkingLot;
  readonly rejections: Rejections;
  readonly claims: Claims;
  readonly effects: readonly Effect[];
  readonly firstRun: FirstRun;
  /** False where events are told apart by handler and second alone, as DEDUP_BY=handler-ts says to the letter. */
  readonly laterTwinsRun: boolean;
  readonly now: () => number;
}

type Verified = Extract<Verification, { kind: 'verified' }>;
type Result = JobResult<unknown>;

interface LoggedRun {
  readonly delivery: Delivery;
  readonly result: Result;
  readonly isFirstRun: boolean;
  readonly durationMs: number;
}

/** What is done with one delivery: verify, deduplicate, run the effects. */
export class DeliveryProcessor {
  readonly #deps: DeliveryProcessorDeps;

  constructor(deps: DeliveryProcessorDeps) {
    this.#deps = deps;
  }

  async process(job: ConsumedJob<unknown>, signal: AbortSignal): Promise<Result> {
    const startedAtMs = this.#deps.now();
    const delivery = readDelivery(job.data);
    const result = await this.#verifyAndRun(delivery, job, signal);
    this.#logResult({ delivery, result, isFirstRun: job.isFirstRun, durationMs: this.#deps.now() - startedAtMs });
    return result;
  }

  async #verifyAndRun(delivery: Delivery, job: ConsumedJob<unknown>, signal: AbortSignal): Promise<Result> {
    const verification = await this.#deps.verifier.verify(delivery);
    // Only one that ran before can be parked; all others are spared the way to Redis.
    if (verification.kind !== 'portal-unknown' && !job.isFirstRun) {
      await this.#deps.parking.leave({ memberId: delivery.auth.memberId, jobId: job.id, bytes: delivery.bytes });
    }
    switch (verification.kind) {
      case 'forged':
        return this.#reject(job.id, delivery, new JobError('TOKEN_MISMATCH'));
      case 'portal-unknown':
        return this.#park(delivery, job.id);
      case 'verified':
        return this.#claimAndRun(verification, signal);
      default:
        return verification satisfies never;
    }
  }

  async #reject(jobId: string, delivery: Delivery, error: JobError): Promise<Result> {
    const line = { ...logFields({ delivery, eventId: delivery.eventId }), code: error.code, reason: error.message };
    this.#deps.logger.info({ event: 'delivery.rejected', ...line }, 'rejected');
    await this.#deps.rejections.add(jobId, delivery, error.message);
    return { kind: 'finished', outcome: 'rejected' };
  }

  async #park(delivery: Delivery, jobId: string): Promise<Result> {
    const { bytes } = delivery;
    const { memberId } = delivery.auth;
    const parked = await this.#deps.parking.park({ memberId, jobId, bytes });
    switch (parked.kind) {
      case 'until':
        // The portal may have been installed between the look at it and the parking; its release did not see this job.
        if ((await this.#deps.verifier.verify(delivery)).kind !== 'portal-unknown')
          return { kind: 'postponed', untilMs: this.#deps.now() };
        return { kind: 'postponed', untilMs: parked.atMs };
      case 'ended':
        await this.#deps.parking.leave({ memberId, jobId, bytes });
        if (!(await this.#deps.parking.keepAsFailed({ jobId, bytes })))
          return this.#reject(jobId, delivery, new JobError('PORTAL_UNKNOWN'));
        return failed(new JobError('PORTAL_UNKNOWN'));
      case 'full':
        return this.#reject(jobId, delivery, new JobError('PORTAL_UNKNOWN', 'too many events of unknown portals wait'));
      default:
        return parked satisfies never;
    }
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
      if (end !== 'interrupted') return { kind: 'finished', outcome: end };
      await this.#deps.claims.release(subject.eventId);
      return { kind: 'handed-back' };
    } catch (error) {
      // Whatever went wrong, the process is alive: it must not be counted as a crash of this event.
      await this.#deps.claims.release(subject.eventId).catch(() => undefined);
      throw error;
    }
  }

  #logResult({ delivery, result, isFirstRun, durationMs }: LoggedRun): void {
    const { logger } = this.#deps;
    const line = { ...logFields({ delivery, eventId: delivery.eventId }), durationMs };
    switch (result.kind) {
      case 'finished':
        // A rejected one was told of where its reason is known.
        if (result.outcome === 'rejected') return undefined;
        return logger.info({ event: `delivery.${result.outcome}`, ...line }, result.outcome);
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
          'parked: the portal has no entry in APPLICATION_TOKENS',
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
