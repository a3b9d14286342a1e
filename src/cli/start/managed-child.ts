import { EXIT_CONFIG } from '../../shared/config.js';
import { fork, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { StartError } from '../../shared/start-error.js';

/** A program that the launcher starts and keeps running. */
export interface ChildProgram {
  /** As the user reads it in front of each line. */
  readonly name: string;
  /** The full path of its JavaScript file. */
  readonly file: string;
}

export interface ManagedChildDeps {
  readonly program: ChildProgram;
  readonly env: NodeJS.ProcessEnv;
  /** A line of its output, standard error included. */
  readonly onLine: (line: string) => void;
  readonly say: (line: string) => void;
  /** It must not be started again: its configuration is at fault. */
  readonly onFatal: () => void;
}

export type ReadyDetails = z.infer<typeof readySchema>;

/**
 * `url`: where it listens, with the port that it got where the configuration left that open; `opsUrl`: where it tells of itself;
 * `opsPortTaken`: the usual port of that, where another program has it; `handlers`: their names, as a person reads them.
 */
const readySchema = z.looseObject({
  type: z.literal('ready'),
  url: z.url().optional(),
  opsUrl: z.url().optional(),
  opsPortTaken: z.number().optional(),
  handlers: z.string().optional(),
});

const RESTART_DELAY_MS = 500;
const RESTART_DELAY_MS_MAX = 30_000;
/** A run this long shows that the fault before it has passed. */
const HEALTHY_AFTER_MS = 60_000;
const OUTPUT_END_WITHIN_MS = 1000;

/**
 * starting → running ⇄ waiting to be started again → ended.
 *
 * Until it was ready once, its end is a failure of the start. After that it is started again, ever more slowly, until it is
 * told to stop or says that its configuration is wrong.
 *
 * It has a process group of its own, so that a Ctrl-C at the terminal reaches the launcher only, which then says in which
 * order all end; and a channel to us whose closing tells it that we are gone, however we went.
 */
export class ManagedChild {
  /** Resolves when it is gone for good. */
  readonly ended: Promise<void>;
  private markEnded: () => void = () => undefined;
  private child: ChildProcess | undefined;
  private restartTimer: NodeJS.Timeout | undefined;
  private restartDelayMs = RESTART_DELAY_MS;
  private isStopping = false;
  private wasReady = false;

  constructor(private readonly deps: ManagedChildDeps) {
    this.ended = new Promise((resolve) => (this.markEnded = resolve));
  }

  get name(): string {
    return this.deps.program.name;
  }

  /**
   * Resolves when it says that it is ready.
   *
   * @throws {StartError} when it ends before, or takes longer than `timeoutMs`.
   */
  start(timeoutMs: number): Promise<ReadyDetails> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new StartError(`${this.name} is not ready after ${timeoutMs / 1000} s`));
      }, timeoutMs);
      const child = this.run();
      child.once('exit', (exitCode, signal) => {
        clearTimeout(timer);
        const code = exitCode === EXIT_CONFIG ? EXIT_CONFIG : 1;
        reject(new StartError(`${this.name} ${describeEnd(exitCode, signal)} before it was ready`, code));
      });
      child.on('message', (message) => {
        const ready = readySchema.safeParse(message);
        if (!ready.success) return;
        clearTimeout(timer);
        this.wasReady = true;
        resolve(ready.data);
      });
    });
  }

  /** Asks it to end by itself. */
  terminate(): void {
    this.endBy('SIGTERM');
  }

  kill(): void {
    this.endBy('SIGKILL');
  }

  private endBy(signal: 'SIGTERM' | 'SIGKILL'): void {
    this.isStopping = true;
    clearTimeout(this.restartTimer);
    if (this.child) this.child.kill(signal);
    else this.markEnded();
  }

  private run(): ChildProcess {
    const startedAtMs = Date.now();
    const child = fork(this.deps.program.file, {
      env: this.deps.env,
      execArgv: ['--enable-source-maps'],
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      if (stream) createInterface({ input: stream, crlfDelay: Infinity }).on('line', this.deps.onLine);
    }
    child.once('error', (error) => {
      this.deps.say(`${this.name}: ${error.message}`);
      // Without a process there will be no exit to hear of.
      if (child.pid === undefined) child.emit('exit', 1, null);
    });
    child.once('exit', (exitCode, signal) => {
      this.child = undefined;
      if (Date.now() - startedAtMs > HEALTHY_AFTER_MS) this.restartDelayMs = RESTART_DELAY_MS;
      if (this.isStopping || !this.wasReady) this.endAfterOutputOf(child);
      else if (exitCode === EXIT_CONFIG) this.endFatally(child, exitCode);
      else this.restartLater(describeEnd(exitCode, signal));
    });
    return child;
  }

  private endFatally(child: ChildProcess, exitCode: number): void {
    this.endAfterOutputOf(child);
    this.deps.say(`${this.name} ${describeEnd(exitCode, null)}: its configuration is at fault`);
    this.deps.onFatal();
  }

  private restartLater(how: string): void {
    this.deps.say(`${this.name} ${how} by itself; starting it again in ${this.restartDelayMs / 1000} s`);
    this.restartTimer = setTimeout(() => this.run(), this.restartDelayMs);
    this.restartDelayMs = Math.min(this.restartDelayMs * 2, RESTART_DELAY_MS_MAX);
  }

  /** Its last lines may still be on their way; a descendant that holds its output open is not waited for. */
  private endAfterOutputOf(child: ChildProcess): void {
    const timer = setTimeout(this.markEnded, OUTPUT_END_WITHIN_MS);
    child.once('close', () => {
      clearTimeout(timer);
      this.markEnded();
    });
  }
}

function describeEnd(exitCode: number | null, signal: NodeJS.Signals | null): string {
  return signal ? `was ended by ${signal}` : `ended with code ${exitCode}`;
}
