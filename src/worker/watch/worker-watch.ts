import { errorMessage } from '../../shared/caught-error.js';
import type { QueueCounts } from '../../shared/queue-counts.js';
import type { RedisInfo } from '../../shared/redis-info.js';
import { withTimeLimit } from '../../shared/time-limit.js';
import type { Progress } from './progress.js';
import { repeat, type Repeated } from './repeat.js';
import { StallWatch, type Stall } from './stall-watch.js';

/** What a look found. */
export interface WatchedState {
  readonly queues: readonly QueueCounts[];
  readonly redis: RedisInfo;
}

export interface StalledConsumer extends Stall {
  readonly queue: string;
}

export interface WorkerWatchDeps {
  /** Of the queues whose standing still means that the worker is wedged. */
  readonly progresses: readonly Progress[];
  readonly runMsMax: number;
  /** Each ends within a few seconds, Redis down, hung or gone. */
  readonly readQueues: () => Promise<readonly QueueCounts[]>;
  readonly readRedis: () => Promise<RedisInfo>;
  /** Rejects where Redis takes no write. */
  readonly write: () => Promise<void>;
  /** After each look that came through while Redis takes writes. */
  readonly onLook: (watch: WorkerWatch) => void;
  readonly everyMs: number;
  /** Goes only forward. */
  readonly nowMs: () => number;
  readonly timeMs: () => number;
}

const LOOK_TIMEOUT_MS = 4000;

/**
 * Looks at the queues and at Redis every few seconds. All who ask how the worker is doing read the last look: readiness, metrics,
 * alerts, and what ends a wedged process.
 */
export class WorkerWatch {
  readonly #deps: WorkerWatchDeps;
  readonly #stalls: readonly { readonly progress: Progress; readonly watch: StallWatch }[];
  #looking: Repeated | undefined;
  #last: WatchedState | undefined;
  #cameThroughAtMs: number | undefined;
  #readFailure: string | undefined;
  #writeFailure: string | undefined;

  private constructor(deps: WorkerWatchDeps) {
    this.#deps = deps;
    const { runMsMax } = deps;
    this.#stalls = deps.progresses.map((progress) => ({ progress, watch: new StallWatch({ progress, runMsMax }) }));
  }

  static start(deps: WorkerWatchDeps): WorkerWatch {
    const watch = new WorkerWatch(deps);
    watch.#looking = repeat(deps.everyMs, () => watch.#look());
    return watch;
  }

  /** Resolves when the look under way has ended. */
  async stop(): Promise<void> {
    await this.#looking?.stop();
  }

  get progresses(): readonly Progress[] {
    return this.#deps.progresses;
  }

  get runMsMax(): number {
    return this.#deps.runMsMax;
  }

  /** The newest that came through, however old. */
  get last(): WatchedState | undefined {
    return this.#last;
  }

  /** How long ago that was; undefined where none has. */
  get silentMs(): number | undefined {
    return this.#cameThroughAtMs === undefined ? undefined : this.#deps.nowMs() - this.#cameThroughAtMs;
  }

  /** Why the last one did not come through. */
  get readFailure(): string | undefined {
    return this.#readFailure;
  }

  /** Why Redis takes no writes. */
  get writeFailure(): string | undefined {
    return this.#writeFailure;
  }

  get stalls(): readonly StalledConsumer[] {
    return this.#stalls.flatMap(({ progress: { queue }, watch: { stall } }) => (stall ? [{ queue, ...stall }] : []));
  }

  async #look(): Promise<void> {
    const { readQueues, readRedis, write, nowMs } = this.#deps;
    const written = write().then(
      () => undefined,
      (error: unknown) => errorMessage(error),
    );
    const read = Promise.all([readQueues(), readRedis(), written]);
    try {
      const [queues, redis, writeFailure] = await withTimeLimit(read, LOOK_TIMEOUT_MS, 'the look at Redis');
      this.#last = { queues, redis };
      this.#cameThroughAtMs = nowMs();
      this.#readFailure = undefined;
      this.#writeFailure = writeFailure;
    } catch (error) {
      this.#readFailure = errorMessage(error);
    }
    this.#judge();
  }

  #judge(): void {
    const { nowMs, timeMs, onLook } = this.#deps;
    const isWell = this.#readFailure === undefined && this.#writeFailure === undefined;
    for (const { progress, watch } of this.#stalls) {
      const counts = this.#last?.queues.find(({ queue }) => queue === progress.queue);
      if (isWell && counts) watch.see(counts, { nowMs: nowMs(), timeMs: timeMs() });
      else watch.miss();
    }
    if (isWell) onLook(this);
  }
}
