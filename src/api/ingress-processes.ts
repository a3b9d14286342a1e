import cluster, { type Worker } from 'node:cluster';
import { setTimeout as sleep } from 'node:timers/promises';
import { EXIT_CONFIG, ConfigError } from '../shared/config.js';
import type { Logger } from '../shared/logger.js';
import type { Ops } from '../shared/ops/ops.js';
import type { Running } from '../shared/process-lifecycle.js';
import { MergedOps } from './merged-ops.js';

const RESTART_MS = { first: 100, max: 10_000 } as const;
/** One that lived for this long did not die of its start. */
const LONG_LIFE_MS = 60_000;

export interface IngressProcessesDeps {
  readonly logger: Logger;
  readonly ops: Ops;
  /** Ends this process, and all of them with it. */
  readonly fail: (error: unknown) => void;
}

/** Several ingress processes that share one port; each has a journal of its own. One that dies is started again. */
export async function startIngressProcesses(count: number, deps: IngressProcessesDeps): Promise<Running> {
  const processes = new IngressProcesses(deps);
  const urls = await Promise.all(Array.from({ length: count }, () => processes.start()));
  processes.tellAll();
  return { details: { url: urls[0] ?? '' }, stop: () => processes.stop() };
}

class IngressProcesses {
  readonly #deps: IngressProcessesDeps;
  readonly #alive = new Set<Worker>();
  #isStopping = false;

  constructor(deps: IngressProcessesDeps) {
    this.#deps = deps;
    // A second signal, or a stop that takes too long, ends them with us; the journal is made for that.
    process.once('exit', () => {
      if (this.#isStopping) for (const worker of this.#alive) worker.process.kill('SIGKILL');
    });
  }

  /** Resolves with the address when it listens. */
  async start(): Promise<string> {
    const worker = this.#fork();
    return new Promise((resolve, reject) => {
      worker.on('message', (message: unknown) => {
        const url = readyUrlIn(message);
        if (url === undefined) return;
        worker.off('exit', fail);
        this.#watch(worker, 0);
        resolve(url);
      });
      const fail = (exitCode: number): void => reject(failure(exitCode));
      worker.once('exit', fail);
    });
  }

  /** What they tell of themselves is told by this one. */
  tellAll(): void {
    const { ops } = this.#deps;
    const all = new MergedOps({ children: () => this.#alive, registry: ops.registry });
    ops.metricsFrom(() => all.metrics());
    ops.readyWhen(() => all.readiness());
  }

  /**
   * They are told by the end of their channel to us, not by a signal: a terminal sends its signals to all of them already,
   * and a second one would end them at once.
   */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const ended = [...this.#alive].map((worker) => new Promise((resolve) => void worker.once('exit', resolve)));
    for (const worker of this.#alive) if (worker.process.connected) worker.process.disconnect();
    await Promise.all(ended);
  }

  #fork(): Worker {
    const worker = cluster.fork();
    this.#alive.add(worker);
    worker.once('exit', () => this.#alive.delete(worker));
    return worker;
  }

  #watch(worker: Worker, failures: number): void {
    const startedAtMs = Date.now();
    worker.once('exit', (exitCode: number) => {
      if (this.#isStopping) return;
      if (exitCode === EXIT_CONFIG) {
        this.#deps.fail(failure(exitCode));
        return;
      }
      const isShort = Date.now() - startedAtMs < LONG_LIFE_MS;
      void this.#restart(exitCode, isShort ? failures : 0);
    });
  }

  async #restart(exitCode: number, failures: number): Promise<void> {
    const fields = { event: 'ingress.process_ended', exitCode };
    this.#deps.logger.warn(fields, 'an ingress process ended; another one takes its place');
    await sleep(Math.min(RESTART_MS.first * 2 ** failures, RESTART_MS.max));
    if (!this.#isStopping) this.#watch(this.#fork(), failures + 1);
  }
}

function failure(exitCode: number): Error {
  if (exitCode === EXIT_CONFIG) return new ConfigError(['an ingress process cannot work with this configuration']);
  return new Error(`an ingress process did not start (exit code ${exitCode})`);
}

function readyUrlIn(message: unknown): string | undefined {
  if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'ready')
    return undefined;
  return 'url' in message && typeof message.url === 'string' ? message.url : undefined;
}
