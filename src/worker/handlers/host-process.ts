import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Logger } from '../../shared/logger.js';
import { resolvesWithin } from '../../shared/time-limit.js';
import { endOf } from './end-of-child.js';
import { hostEnvironment, type Environment } from './host-environment.js';
import type {
  CallAnswer,
  HandlerFacts,
  HostCall,
  HostMessage,
  LogLine,
  RunId,
  RunOrder,
  RunOutcome,
  WorkerMessage,
} from './host-messages.js';
import { logOutput } from './host-output.js';
import { callIn, parseHostMessage } from './parse-host-message.js';

export interface HostDeps {
  /** The host's own program. */
  readonly hostFile: string;
  readonly dir: string;
  /** Of the worker; what is secret in it is not passed on. */
  readonly env: Environment;
  readonly logger: Logger;
  readonly loadTimeoutMs: number;
  /** How long its event loop may stand still. */
  readonly silenceMsMax: number;
  /** How long a run may go on once it has heard that its signal was aborted. */
  readonly graceMs: number;
}

export interface AbortWatch {
  /** It has told the run: it may be busy, and hear of it late. */
  onHeard(): void;
  /** Whether it was heard or not: the run had all the time that one may need. */
  onOverdue(): void;
}

/** One run, as a host needs it. */
export interface HostTask {
  readonly order: RunOrder;
  /** Does what the handler asks for; never rejects. */
  serve(call: HostCall): Promise<CallAnswer>;
  log(line: LogLine): void;
}

export type RunEnd =
  | { readonly kind: 'ended'; readonly outcome: RunOutcome }
  /** Its process is gone. `unknown`: it ended by itself with several runs in it, and any of them may have done it. */
  | { readonly kind: 'lost'; readonly how: string; readonly blame: 'this' | 'another' | 'unknown' };

export type Loading =
  | { readonly ok: true; readonly handlers: readonly HandlerFacts[] }
  /** `mayPass`: it took too long, or its process was ended, so that the modules need not be to blame. */
  | { readonly ok: false; readonly faults: readonly string[]; readonly mayPass?: boolean };

interface HostedRun {
  readonly task: HostTask;
  readonly settle: (end: RunEnd) => void;
  /** It goes on though its signal was aborted: its host ends because of it. */
  isHung: boolean;
  abort?: { readonly watch: AbortWatch; isHeard: boolean; looks: number };
}

const GONE: RunEnd = { kind: 'lost', how: 'its process was about to end', blame: 'another' };
const LOOK_EVERY_MS = 500;
const END_WITHIN_MS = 1000;

/** A process in which handlers run: loading → serving → gone. What is still under way in it when it goes is lost with it. */
export class HostProcess {
  /** Resolves once, also if it ends before it has loaded anything. */
  readonly loaded: Promise<Loading>;
  /** Resolves when no code runs in it any more, and all that it said was heard. */
  readonly gone: Promise<void>;
  readonly #deps: HostDeps;
  readonly #child: ChildProcess;
  readonly #runs = new Map<RunId, HostedRun>();
  readonly #output: ReturnType<typeof logOutput>;
  #isUnreadableTold = false;
  #finishLoading: (loading: Loading) => void = () => undefined;
  #loadingFile = '';
  #isServing = false;
  /** Looks in a row at which no beat had come from it; any other message can be sent by code that never gives back the loop. */
  #silentLooks = 0;
  /** Why it was killed; undefined where it ended by itself. */
  #killedBecause: string | undefined;
  #diedSilent = false;

  constructor(deps: HostDeps) {
    this.#deps = deps;
    this.loaded = new Promise((resolve) => (this.#finishLoading = resolve));
    this.#child = fork(deps.hostFile, [deps.dir, String(process.pid)], {
      env: hostEnvironment(deps.env),
      execArgv: ['--enable-source-maps'],
      serialization: 'advanced',
      // A group of its own: a Ctrl-C at the terminal is for the worker, and a kill also ends what a handler has started.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.#output = logOutput(this.#child, deps.logger);
    this.#child.on('message', (message) => {
      const parsed = parseHostMessage(message);
      if (parsed) this.#take(parsed);
      else this.#refuse(message);
    });
    // Whatever its handlers have started, and left.
    this.#child.once('exit', () => this.#killGroup());
    this.gone = this.#serve();
  }

  /** Whether a run can still be begun in it. */
  get isUsable(): boolean {
    return this.#child.connected && this.#killedBecause === undefined;
  }

  /** How many runs are under way in it that have a chance to end. */
  get liveRuns(): number {
    return [...this.#runs.values()].filter(({ isHung }) => !isHung).length;
  }

  run(task: HostTask): { readonly runId: RunId; readonly ended: Promise<RunEnd> } {
    const runId = randomBytes(16).toString('hex');
    if (!this.isUsable) return { runId, ended: Promise.resolve(GONE) };
    const ended = new Promise<RunEnd>((settle) => this.#runs.set(runId, { task, settle, isHung: false }));
    this.#send({ type: 'run', runId, run: task.order });
    return { runId, ended };
  }

  abort(runId: RunId, isTimeout: boolean, watch: AbortWatch): void {
    const run = this.#runs.get(runId);
    if (run) run.abort = { watch, isHeard: false, looks: 0 };
    this.#send({ type: 'abort', runId, isTimeout });
  }

  /** False where it has ended after all. */
  markHung(runId: RunId): boolean {
    const run = this.#runs.get(runId);
    if (run) run.isHung = true;
    return run !== undefined;
  }

  kill(because: string): void {
    this.#killedBecause ??= because;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    if (!this.#killGroup()) this.#child.kill('SIGKILL');
  }

  /** Lets it end by itself, yet not for long. */
  async end(): Promise<void> {
    this.#killedBecause ??= 'the worker stops';
    if (this.#child.connected) this.#child.disconnect();
    if (!(await resolvesWithin(this.gone, END_WITHIN_MS))) this.kill('the worker stops');
    await this.gone;
  }

  async #serve(): Promise<void> {
    const loadTimer = setTimeout(() => this.#failLoading(), this.#deps.loadTimeoutMs);
    const watch = setInterval(() => this.#look(), LOOK_EVERY_MS);
    const how = await endOf(this.#child);
    clearTimeout(loadTimer);
    clearInterval(watch);
    this.#output.end();
    this.#settleAll(how);
  }

  #send(message: WorkerMessage): void {
    // A failed send needs no other answer than the end of the process, which settles all its runs.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** False where there is no such group, or none any more. */
  #killGroup(): boolean {
    const { pid } = this.#child;
    try {
      return pid !== undefined && process.kill(-pid, 'SIGKILL');
    } catch {
      return false;
    }
  }

  /** A call that is not understood must not wait for ever. */
  #refuse(message: unknown): void {
    const call = callIn(message);
    const failure = { kind: 'error', reason: 'the worker cannot read this call' } as const;
    if (call) this.#send({ type: 'answer', callId: call.callId, answer: { ok: false, failure } });
    if (this.#isUnreadableTold) return;
    this.#isUnreadableTold = true;
    this.#deps.logger.warn({ event: 'handler.unreadable' }, 'a process of handlers sends what cannot be read');
  }

  #take(message: HostMessage): void {
    switch (message.type) {
      case 'beat':
        this.#silentLooks = 0;
        return;
      case 'loading':
        this.#loadingFile = message.file;
        return;
      case 'loaded':
        this.#isServing = true;
        this.#finishLoading({ ok: true, handlers: message.handlers });
        return;
      case 'faults':
        this.#finishLoading({ ok: false, faults: message.faults });
        return;
      case 'aborted':
        this.#hearAbort(message.runId);
        return;
      case 'log':
        if (this.#output.take()) this.#runs.get(message.runId)?.task.log(message.line);
        return;
      case 'call':
        void this.#answer(message.runId, message.callId, message.call);
        return;
      case 'ended':
        this.#settle(message.runId, { kind: 'ended', outcome: message.outcome });
        return;
      default:
        message satisfies never;
    }
  }

  #hearAbort(runId: RunId): void {
    const abort = this.#runs.get(runId)?.abort;
    if (!abort || abort.isHeard) return;
    abort.isHeard = true;
    abort.watch.onHeard();
  }

  async #answer(runId: RunId, callId: number, call: HostCall): Promise<void> {
    const run = this.#runs.get(runId);
    if (run) this.#send({ type: 'answer', callId, answer: await run.task.serve(call) });
  }

  #settle(runId: RunId, end: RunEnd): void {
    const run = this.#runs.get(runId);
    this.#runs.delete(runId);
    run?.settle(end);
  }

  #settleAll(how: string): void {
    this.#finishLoading({
      ok: false,
      faults: [`${this.#loadingFile || 'the handlers'}: ${how} while it was loaded`],
      mayPass: true,
    });
    const byItself = this.#killedBecause === undefined || this.#diedSilent;
    const why = this.#diedSilent ? 'it kept its process from answering' : (this.#killedBecause ?? how);
    const ofOthers = byItself ? (this.#runs.size === 1 ? 'this' : 'unknown') : 'another';
    for (const [runId, { isHung }] of this.#runs)
      this.#settle(runId, { kind: 'lost', how: why, blame: isHung ? 'this' : ofOthers });
  }

  #failLoading(): void {
    if (this.#isServing) return;
    const file = this.#loadingFile || 'the handlers';
    const limit = `${this.#deps.loadTimeoutMs / 1000} s`;
    this.#finishLoading({
      ok: false,
      faults: [`${file}: cannot be loaded: it takes longer than ${limit}`],
      mayPass: true,
    });
    this.kill('it takes too long to load');
  }

  /** Looks are counted, not time: after a standstill of the worker itself what came meanwhile is heard before the next look. */
  #look(): void {
    if (!this.#isServing) return;
    this.#silentLooks += 1;
    if (this.#silentLooks * LOOK_EVERY_MS > this.#deps.silenceMsMax) {
      this.#diedSilent = this.#killedBecause === undefined;
      this.kill('it does not answer');
      return;
    }
    this.#send({ type: 'ping' });
    this.#lookAtAborted();
  }

  #lookAtAborted(): void {
    const looksMax = (this.#deps.silenceMsMax + this.#deps.graceMs) / LOOK_EVERY_MS;
    for (const { abort } of this.#runs.values()) {
      if (!abort) continue;
      abort.looks += 1;
      if (abort.looks > looksMax) abort.watch.onOverdue();
    }
  }
}
