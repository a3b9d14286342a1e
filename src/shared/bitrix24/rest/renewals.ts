import { setTimeout as sleep } from 'node:timers/promises';
import { JobError } from '../../errors.js';
import type { Portal } from '../../portals.js';
import { untilAborted } from '../../until-aborted.js';
import { installed, type InstalledPortal } from './installed-portal.js';
import { createForgetRenewals } from './forget-renewals.js';
import { createRenewalFiles, type RenewalFiles } from './renewal-files.js';
import { createRenewalLocks, type LockState, type RenewalLock, type RenewalLocks } from './renewal-locks.js';
import { RenewalRecords } from './renewal-records.js';
import { RenewalRun, type RenewalRunDeps } from './renewal-run.js';
import { restoreRenewals } from './restore-renewals.js';
import { suspendedError } from './suspensions.js';

/**
 * New tokens for a portal: asked for by one process of all, and safe on disk before they are used, because the old refresh token
 * is used up the moment the OAuth server answers.
 *
 *     lock in Redis ──► room on disk ──► OAuth server ──► file, fsynced ──► record in Redis ──► lock let go
 *
 * Who finds the lock taken waits for the record to change. A crash after the file leaves a pair that `restore`, or whoever next
 * finds the old refresh token dead, puts into the record. A Redis that lost its last second gets it back in the same way.
 */
export interface Renewals {
  /**
   * The record with newer tokens than those of `usedGeneration`, whoever renewed them.
   *
   * @throws {JobError} PORTAL_SUSPENDED, PORTAL_NOT_INSTALLED, REST_UNAVAILABLE or REST_HOST_REFUSED; the reason of `signal`, while
   *   the renewal goes on: its answer must not be lost.
   */
  renew(memberId: string, usedGeneration: number, signal: AbortSignal): Promise<Portal>;
  /** Puts back what Redis has lost. At the start, and when the connection to Redis is there again. */
  restore(): Promise<void>;
  /** Resolves when no renewal is under way in this process; before the ways out are closed. */
  settled(): Promise<void>;
  /** Removes what is kept of a portal. */
  forget(memberId: string): Promise<void>;
}

export interface RenewalsDeps extends Omit<RenewalRunDeps, 'files' | 'records'> {
  readonly dataDir: string;
  readonly times?: Partial<RenewalTimes>;
}

/** In milliseconds. */
export interface RenewalTimes {
  /** How long a lock outlives its holder. */
  readonly lock: number;
  /** How long others wait for the holder before they come back later. */
  readonly wait: number;
  readonly poll: number;
  /** How long the OAuth server is spared after it did not answer. */
  readonly rest: number;
}

/** The lock is longer than the OAuth client's own time limit and a slow disk together. */
const TIMES: RenewalTimes = { lock: 40_000, wait: 10_000, poll: 100, rest: 10_000 };

export function createRenewals(deps: RenewalsDeps): Renewals {
  return new SharedRenewals(deps);
}

class SharedRenewals implements Renewals {
  readonly #deps: RenewalsDeps;
  readonly #times: RenewalTimes;
  readonly #files: RenewalFiles;
  readonly #locks: RenewalLocks;
  readonly #records: RenewalRecords;
  /** One for each portal and pair: a hundred calls that find it expired are one. */
  readonly #running = new Map<string, Promise<Portal>>();
  #restoring: Promise<void> = Promise.resolve();

  constructor(deps: RenewalsDeps) {
    const { redis, keys, portals, sealer, dataDir, now } = deps;
    this.#deps = deps;
    this.#times = { ...TIMES, ...deps.times };
    this.#files = createRenewalFiles(dataDir, sealer, now);
    this.#locks = createRenewalLocks({ redis, keys, ttlMs: this.#times.lock });
    this.#records = new RenewalRecords({ redis, portals });
  }

  async renew(memberId: string, usedGeneration: number, signal: AbortSignal): Promise<Portal> {
    const name = `${usedGeneration}.${memberId}`;
    const running = this.#running.get(name) ?? this.#start(name, memberId, usedGeneration);
    return untilAborted(signal, running);
  }

  restore(): Promise<void> {
    const { logger, now } = this.#deps;
    this.#restoring = this.#restoring.then(() =>
      restoreRenewals({ files: this.#files, records: this.#records, portals: this.#deps.portals, logger, now }),
    );
    return this.#restoring;
  }

  async settled(): Promise<void> {
    await this.#restoring;
    while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
  }

  forget(memberId: string): Promise<void> {
    return createForgetRenewals(this.#deps)(memberId);
  }

  #start(name: string, memberId: string, usedGeneration: number): Promise<Portal> {
    const running = this.#renew(memberId, usedGeneration).finally(() => this.#running.delete(name));
    // Everybody who waits for it may have been aborted by then.
    running.catch(() => undefined);
    this.#running.set(name, running);
    return running;
  }

  async #renew(memberId: string, usedGeneration: number): Promise<Portal> {
    const endsAtMs = this.#deps.now() + this.#times.wait;
    for (;;) {
      const portal = await this.#find(memberId, usedGeneration);
      if (portal.oauth.generation > usedGeneration) return portal;
      const lock = await this.#locks.acquire(memberId);
      if (lock) return this.#renewLocked(lock, memberId, usedGeneration);
      this.#failIfVain(await this.#locks.state(memberId), endsAtMs);
      await sleep(this.#times.poll);
    }
  }

  async #renewLocked(lock: RenewalLock, memberId: string, usedGeneration: number): Promise<Portal> {
    let restMs: number | undefined = this.#times.rest;
    try {
      // Again under the lock: its last holder may have renewed since.
      const portal = await this.#find(memberId, usedGeneration);
      const run = new RenewalRun({ ...this.#deps, files: this.#files, records: this.#records }, this.#times.rest);
      const renewed = portal.oauth.generation > usedGeneration ? portal : await run.renew(portal);
      restMs = undefined;
      return renewed;
    } finally {
      // A failure to let go is no failure of the renewal: the lock ends by itself.
      await (restMs === undefined ? lock.release() : lock.rest(restMs)).catch(() => undefined);
    }
  }

  async #find(memberId: string, usedGeneration: number): Promise<InstalledPortal> {
    const portal = installed(await this.#deps.portals.find(memberId));
    const { suspension, oauth } = portal;
    if (suspension?.reason === 'reauthorize' && oauth.generation === usedGeneration)
      throw suspendedError(suspension, this.#deps.now());
    return portal;
  }

  #failIfVain(state: LockState, endsAtMs: number): void {
    if (state.kind === 'resting')
      throw new JobError('REST_UNAVAILABLE', 'tokens could not be renewed', { retryAfterMs: state.leftMs });
    if (this.#deps.now() > endsAtMs)
      throw new JobError('REST_UNAVAILABLE', 'tokens are being renewed', { retryAfterMs: this.#times.wait });
  }
}
