import { EXIT_CONFIG } from '../../shared/config.js';
import { JobError } from '../../shared/errors.js';
import { StartError } from '../../shared/start-error.js';
import { createSlots, type Slots } from '../slots.js';
import { createCrashRecord, type CrashRecord } from './crash-record.js';
import { createEventCrashes } from './event-crashes.js';
import type { HandlerFacts, RunId } from './host-messages.js';
import { HostProcess, type HostDeps, type HostTask, type RunEnd } from './host-process.js';
import { toJobError } from './run-failure.js';
import { untilAborted } from '../../shared/until-aborted.js';

export interface HandlerPoolDeps extends HostDeps {
  /** Within which crashes are counted, and for which a handler is set aside. */
  readonly setAsideMs: number;
  readonly now: () => number;
  readonly random: () => number;
}

export interface PooledRun {
  readonly task: HostTask;
  readonly signal: AbortSignal;
}

const DRAINING_MAX = 4;
const ALONE_MAX = 2;
const SUSPECTS_MAX = 10_000;
const INTERRUPTED_RETRY_MS = 1000;
const ALONE_RETRY_MS = 5000;
const SET_ASIDE_RETRY_MS = 60_000;
const RESTART_MS = 1000;
const RESTART_MS_MAX = 60_000;

/**
 * The processes in which handlers run.
 *
 * *current*: all handlers, many runs at a time. One in which a run goes on after its signal was aborted is *draining*: it takes no
 * other run, those in it may end, then it is killed. Only then does the hung run count as ended, so that the next attempt at it
 * is never beside it.
 *
 * A process that ends by itself, or whose event loop stands still, takes all its runs along. With one in it that one is to blame.
 * With several nobody can tell, so each of them runs *alone* the next time.
 */
export class HandlerPool {
  readonly #deps: HandlerPoolDeps;
  readonly #record: CrashRecord;
  readonly #eventCrashes = createEventCrashes();
  readonly #all = new Set<HostProcess>();
  readonly #draining = new Set<HostProcess>();
  /** Of runs that were in a process that ended by itself; by event and handler. */
  readonly #suspects = new Set<string>();
  readonly #alone: Slots;
  readonly #notLoaded = new WeakSet<HostProcess>();
  #current: HostProcess | undefined;
  #loadFailures = 0;
  #startNotBeforeMs = 0;
  #isStopping = false;

  constructor(deps: HandlerPoolDeps) {
    this.#deps = deps;
    this.#alone = createSlots(ALONE_MAX, deps.now);
    this.#record = createCrashRecord({ windowMs: deps.setAsideMs, now: deps.now, logger: deps.logger });
  }

  /** @throws {StartError} with all that is wrong with the handlers. */
  async start(): Promise<readonly HandlerFacts[]> {
    const host = this.#fork();
    const loading = await host.loaded;
    if (loading.ok) {
      this.#current = host;
      return loading.handlers;
    }
    await this.stop();
    const exitCode = loading.mayPass === true ? 1 : EXIT_CONFIG;
    throw new StartError(`the handlers cannot be started: ${loading.faults.join('; ')}`, exitCode);
  }

  /** @throws {JobError} when it did not go well; the signal's reason if it was aborted before the run began. */
  async run(run: PooledRun): Promise<void> {
    const { handler } = run.task.order;
    const admission = this.#record.admit(handler);
    if (admission.kind === 'aside')
      throw new JobError('HANDLER_SET_ASIDE', admission.reason, { retryAfterMs: SET_ASIDE_RETRY_MS });
    if (admission.kind === 'test') return this.#test(run);
    const isSuspect = this.#suspects.has(keyOf(run));
    const end = isSuspect ? await this.#runAlone(run) : await this.#runAmongOthers(run);
    this.#conclude(run, end);
  }

  /** Ends all processes; what is still under way in them is interrupted. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all([...this.#all].map((host) => host.end()));
  }

  async #test(run: PooledRun): Promise<void> {
    let how: 'well' | 'crashed' | 'unknown' = 'unknown';
    try {
      const end = await this.#runAlone(run);
      if (end.kind === 'ended') how = 'well';
      else if (isCrash(run, end)) how = 'crashed';
      this.#conclude(run, end);
    } finally {
      this.#record.noteTestEnd(run.task.order.handler, how);
    }
  }

  /** What the end of a run means for its effect. */
  #conclude(run: PooledRun, end: PooledEnd): void {
    const { handler, eventId } = run.task.order;
    if (end.kind === 'ended') {
      this.#suspects.delete(keyOf(run));
      this.#eventCrashes.forget(handler, eventId);
      if (end.outcome.kind === 'failed') throw toJobError(end.outcome.failure);
      return;
    }
    const line = { handler, eventId, reason: end.how };
    if (isCrash(run, end)) {
      this.#suspects.delete(keyOf(run));
      this.#record.noteCrash({ handler, eventId, how: end.how, host: end.host });
      this.#deps.logger.warn({ event: 'handler.crashed', ...line }, 'its process had to end, or ended, because of it');
      // One past its deadline may only have waited for another system, which heals.
      const isGivenUp = !run.signal.aborted && this.#eventCrashes.count(handler, eventId);
      throw new JobError(isGivenUp ? 'EFFECT_CRASHED' : 'HANDLER_CRASHED', end.how);
    }
    if (run.signal.aborted) throw run.signal.reason;
    if (end.blame === 'unknown') this.#suspect(keyOf(run));
    this.#deps.logger.warn({ event: 'handler.interrupted', ...line }, 'its process ended: it runs again');
    throw new JobError('HANDLER_INTERRUPTED', end.how, { retryAfterMs: INTERRUPTED_RETRY_MS });
  }

  async #runAlone(run: PooledRun): Promise<PooledEnd> {
    const slot = await this.#alone.enter(run.signal);
    if (!slot) throw this.#busy('runs that have to be alone wait for each other', ALONE_RETRY_MS);
    let host: HostProcess | undefined;
    try {
      host = this.#startHost();
      return await this.#carryOut(await this.#loadedHost(host, run.signal), run);
    } finally {
      await host?.end();
      slot.leave();
    }
  }

  async #runAmongOthers(run: PooledRun): Promise<PooledEnd> {
    if (!this.#current?.isUsable) this.#current = this.#startHost();
    return this.#carryOut(await this.#loadedHost(this.#current, run.signal), run);
  }

  async #carryOut(host: HostProcess, { task, signal }: PooledRun): Promise<PooledEnd> {
    signal.throwIfAborted();
    const { runId, ended } = host.run(task);
    let timer: NodeJS.Timeout | undefined;
    const retire = (): void => this.#retire(host, runId);
    const onHeard = (): void => void (timer = setTimeout(retire, this.#deps.graceMs));
    const onAbort = (): void => host.abort(runId, isTimeout(signal), { onHeard, onOverdue: retire });
    signal.addEventListener('abort', onAbort);
    try {
      return { ...(await ended), host };
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      this.#killWhenDrained(host);
    }
  }

  #retire(host: HostProcess, runId: RunId): void {
    if (!host.markHung(runId)) return;
    if (this.#current === host) this.#current = undefined;
    this.#draining.add(host);
    const [oldest] = this.#draining;
    if (this.#draining.size > DRAINING_MAX) oldest?.kill('too many processes wait for their last runs');
    this.#killWhenDrained(host);
  }

  #killWhenDrained(host: HostProcess): void {
    if (this.#draining.has(host) && host.liveRuns === 0) host.kill('a run in it did not heed its signal');
  }

  #startHost(): HostProcess {
    const waitMs = this.#startNotBeforeMs - this.#deps.now();
    if (this.#isStopping || waitMs > 0) throw this.#busy('no process for it can be started now', waitMs);
    return this.#fork();
  }

  async #loadedHost(host: HostProcess, signal: AbortSignal): Promise<HostProcess> {
    const loading = await untilAborted(signal, host.loaded);
    if (loading.ok) {
      this.#loadFailures = 0;
      return host;
    }
    this.#noteLoadFailure(host, loading.faults);
    throw this.#busy(`no process for it can be started: ${loading.faults.join('; ')}`, RESTART_MS);
  }

  /** Once for each host, of the many runs that wait for it. */
  #noteLoadFailure(host: HostProcess, faults: readonly string[]): void {
    if (this.#notLoaded.has(host)) return;
    this.#notLoaded.add(host);
    if (this.#current === host) this.#current = undefined;
    const waitMs = Math.min(RESTART_MS * 2 ** this.#loadFailures, RESTART_MS_MAX);
    this.#loadFailures += 1;
    this.#startNotBeforeMs = this.#deps.now() + waitMs;
    this.#deps.logger.error({ event: 'handler.not_loaded', faults, waitMs }, 'the handlers can no longer be loaded');
    void host.end();
  }

  #fork(): HostProcess {
    const host = new HostProcess(this.#deps);
    this.#all.add(host);
    void host.gone.then(() => {
      this.#all.delete(host);
      this.#draining.delete(host);
      if (this.#current === host) this.#current = undefined;
      return undefined;
    });
    return host;
  }

  #suspect(key: string): void {
    const [oldest] = this.#suspects;
    if (this.#suspects.size >= SUSPECTS_MAX && oldest !== undefined) this.#suspects.delete(oldest);
    this.#suspects.add(key);
  }

  #busy(detail: string, waitMs: number): JobError {
    const retryAfterMs = Math.ceil(Math.max(waitMs, INTERRUPTED_RETRY_MS) * (1 + this.#deps.random()));
    return new JobError('HANDLER_UNAVAILABLE', detail, { retryAfterMs });
  }
}

type PooledEnd = RunEnd & { readonly host: HostProcess };

/** A run that was to stop, and did not in time, is no crash: whoever stops the worker does not ask whose fault it is. */
function isCrash(run: PooledRun, end: RunEnd): boolean {
  return end.kind === 'lost' && end.blame === 'this' && !(run.signal.aborted && !isTimeout(run.signal));
}

function isTimeout({ reason }: AbortSignal): boolean {
  return typeof reason === 'object' && reason !== null && Reflect.get(reason, 'name') === 'TimeoutError';
}

function keyOf({ task: { order } }: PooledRun): string {
  return `${order.eventId}.${order.handler}`;
}
