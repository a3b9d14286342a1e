import { jsonField } from '../shared/bitrix24/json-field.js';
import { isErased } from '../shared/erased-delivery.js';
import { JobError } from '../shared/errors.js';
import type { Delivery, Secrets } from '../shared/delivery.js';
import { ECHO_FIELD, type Echoes } from '../shared/echoes.js';
import type { Logger } from '../shared/logger.js';
import type { ConsumedJob, JobResult } from '../shared/queues-consumer.js';
import { logFields } from './attempts.js';
import { cancelled } from './erasure.js';
import type { Installer } from './installation/installer.js';
import type { InstallationClaim } from './installation/installation-claim.js';
import type { InstallationParts } from './installation/build-installation.js';
import type { ParkingLots } from './parking-lots.js';
import type { Rejections } from './rejections.js';
import type { Verification, VerifiedDelivery, Verifier } from './verifier.js';

export interface AdmissionDeps {
  readonly logger: Logger;
  readonly verifier: Verifier;
  readonly parking: ParkingLots;
  readonly rejections: Rejections;
  readonly echoes: Pick<Echoes, 'hear'>;
  /** Absent where B24_CLIENT_ID is unset: then nothing can be proven. */
  readonly installation: InstallationParts | undefined;
  /** From then on nothing waits any more. */
  readonly ageMsMax: number;
  readonly now: () => number;
}

export type Admitted =
  | { readonly kind: 'verified'; readonly delivery: VerifiedDelivery; readonly secrets: Secrets }
  /** Nothing is done about it, now or ever. */
  | { readonly kind: 'ended'; readonly result: JobResult<unknown> };

/**
 * Who is let in: the application token is compared, installations are proven, what cannot be decided yet is parked, forgeries are
 * set aside. What comes out as verified goes on to deduplication and effects.
 */
export class Admission {
  readonly #deps: AdmissionDeps;

  constructor(deps: AdmissionDeps) {
    this.#deps = deps;
  }

  async admit(delivery: Delivery, job: ConsumedJob<unknown>, signal: AbortSignal): Promise<Admitted> {
    if (isErased(delivery)) return ended({ kind: 'finished', outcome: 'cancelled' });
    if (await this.#takeAnswer(delivery, signal)) return ended({ kind: 'finished', outcome: 'done' });
    const verification = await this.#verify(delivery, signal);
    const waits = verification.kind === 'portal-unknown' || verification.kind === 'waits';
    // Only one that ran before can be parked; all others are spared the way to Redis.
    if (!waits && !job.isFirstRun) await this.#deps.parking.lotOf(delivery).leave(placeOf(delivery, job.id));
    switch (verification.kind) {
      case 'verified':
        return (await this.#isEcho(delivery)) ? ended({ kind: 'finished', outcome: 'done' }) : verification;
      case 'cancelled':
        return ended(cancelled(delivery, verification.removal));
      case 'refused':
        return ended(await this.#reject(job.id, delivery, new JobError('PROOF_REFUSED', verification.reason)));
      case 'waits':
        return ended(await this.#wait(delivery, job.id, verification));
      case 'forged':
        return this.#decideForged(delivery, job.id);
      case 'portal-unknown':
        return ended(await this.#parkUnknown(delivery, job.id));
      default:
        return verification satisfies never;
    }
  }

  /** An answer of a portal to our question whether a new token is its own: true where it was one, and nobody else's event. */
  async #takeAnswer(delivery: Delivery, signal: AbortSignal): Promise<boolean> {
    const { installation, verifier } = this.#deps;
    if (!installation || delivery.name !== 'ONAPPTEST') return false;
    return installation.installer.takeAnswer(delivery, verifier.secretsOf(delivery), signal);
  }

  /** One that `b24-events doctor` waits for: it has come, and is nobody else's event. */
  async #isEcho({ name, auth, body }: Delivery): Promise<boolean> {
    if (name !== 'ONAPPTEST' || body.state === 'quarantined') return false;
    const word = jsonField(jsonField(body.payload, 'QUERY'), ECHO_FIELD);
    return typeof word === 'string' && this.#deps.echoes.hear(auth.memberId, word);
  }

  /** An installation that is proven just now is a known portal's then. */
  async #verify(delivery: Delivery, signal: AbortSignal): Promise<Decided> {
    const verification = await this.#deps.verifier.verify(delivery);
    if (verification.kind !== 'unproven') return verification;
    const settlement = await this.#settle(delivery, verification.claim, signal);
    if (settlement.kind !== 'installed') return settlement;
    const again = await this.#deps.verifier.verify(delivery);
    return again.kind === 'unproven'
      ? { kind: 'waits', reason: 'proven, then replaced', untilMs: this.#deps.now() }
      : again;
  }

  async #settle(delivery: Delivery, claim: InstallationClaim, signal: AbortSignal): ReturnType<Installer['settle']> {
    const { installation } = this.#deps;
    // The verifier asks for a proof only where there is an installer.
    if (!installation) return { kind: 'refused', reason: 'B24_CLIENT_ID is not set' };
    return installation.installer.settle(delivery, claim, signal);
  }

  async #decideForged(delivery: Delivery, jobId: string): Promise<Admitted> {
    const { installation, verifier } = this.#deps;
    if (installation) {
      const { memberId } = delivery.auth;
      if (await installation.isUndecided(memberId))
        return ended(await this.#park(delivery, jobId, { isUndecided: true }));
      // Noted first and looked at once more: a token that changes in between either is seen here, or finds the note.
      await installation.mismatches.note(memberId, jobId);
      const again = await verifier.verify(delivery);
      if (again.kind === 'verified') return again;
    }
    return ended(await this.#reject(jobId, delivery, new JobError('TOKEN_MISMATCH')));
  }

  async #reject(jobId: string, delivery: Delivery, error: JobError): Promise<JobResult<unknown>> {
    const line = { ...logFields({ delivery, eventId: delivery.eventId }), code: error.code, reason: error.message };
    this.#deps.logger.info({ event: 'delivery.rejected', ...line }, 'rejected');
    await this.#deps.rejections.add(jobId, delivery, error.message);
    return { kind: 'finished', outcome: 'rejected' };
  }

  /** An installation whose proof is under way. */
  async #wait(delivery: Delivery, jobId: string, waits: Waits): Promise<JobResult<unknown>> {
    if (this.#deps.now() > delivery.receivedAtMs + this.#deps.ageMsMax) {
      await this.#deps.parking.lotOf(delivery).leave(placeOf(delivery, jobId));
      return { kind: 'failed', reason: new JobError('PROOF_UNAVAILABLE', waits.reason).message };
    }
    const line = { ...logFields({ delivery, eventId: delivery.eventId }), reason: waits.reason };
    this.#deps.logger.info({ event: 'portal.proof_waits', ...line }, 'the installation is not proven yet');
    return this.#park(delivery, jobId, { isUndecided: true, untilMs: waits.untilMs });
  }

  async #parkUnknown(delivery: Delivery, jobId: string): Promise<JobResult<unknown>> {
    const { installation } = this.#deps;
    const isUndecided = installation ? await installation.isUndecided(delivery.auth.memberId) : false;
    return this.#park(delivery, jobId, { isUndecided });
  }

  async #park(
    delivery: Delivery,
    jobId: string,
    { isUndecided, untilMs }: { isUndecided: boolean; untilMs?: number },
  ): Promise<JobResult<unknown>> {
    const { now } = this.#deps;
    const parking = this.#deps.parking.lotOf(delivery);
    const place = placeOf(delivery, jobId);
    const parked = await parking.park({ ...place, isUndecided });
    switch (parked.kind) {
      case 'until':
        // The portal may have been installed between the look at it and the parking; its release did not see this job.
        if (await this.#isDecided(delivery)) return { kind: 'postponed', untilMs: now() };
        return { kind: 'postponed', untilMs: Math.min(parked.atMs, untilMs ?? parked.atMs) };
      case 'ended':
        await parking.leave(place);
        if (await parking.keepAsFailed(place))
          return { kind: 'failed', reason: new JobError('PORTAL_UNKNOWN').message };
        return this.#reject(jobId, delivery, new JobError('PORTAL_UNKNOWN'));
      case 'full':
        return this.#reject(jobId, delivery, new JobError('PORTAL_UNKNOWN', 'too many events of unknown portals wait'));
      default:
        return parked satisfies never;
    }
  }

  async #isDecided(delivery: Delivery): Promise<boolean> {
    const { kind } = await this.#deps.verifier.verify(delivery);
    return kind === 'verified' || kind === 'cancelled';
  }
}

type Settled = Exclude<Awaited<ReturnType<Installer['settle']>>, { kind: 'installed' }>;
type Waits = Extract<Settled, { kind: 'waits' }>;
type Decided = Exclude<Verification, { kind: 'unproven' }> | Settled;

function placeOf(delivery: Delivery, jobId: string): { memberId: string; jobId: string; bytes: number } {
  return { memberId: delivery.auth.memberId, jobId, bytes: delivery.bytes };
}

function ended(result: JobResult<unknown>): Admitted {
  return { kind: 'ended', result };
}
