import { LOOK_GAP_MS_MAX } from '../../shared/look-gap.js';
import type { QueueCounts } from '../../shared/queue-counts.js';
import type { Progress } from './progress.js';

/**
 * Tells whether a consumer stands still though it has work. Two ways to: *not taking*, when jobs wait and slots are free at every
 * look and none is begun; and *hanging*, when all slots are taken and none is given back for longer than any attempt may last.
 *
 * It judges by looks at Redis that came through, and each that did not makes it start anew, as does a gap between them: while Redis is
 * away, or takes no writes, or this process is frozen, no consumer can move, and none is to blame. Jobs that other workers take are no
 * false alarm: while something waits at every look over 20 seconds, a consumer with free slots would have got one too.
 */
export interface Stall {
  readonly kind: 'not-taking' | 'hanging';
  /** Beyond what can be in order. */
  readonly forMs: number;
}

export interface StallWatchDeps {
  readonly progress: Pick<Progress, 'isFull' | 'beganAtMs' | 'movedAtMs'>;
  /** The longest that a run may take: a deadline. */
  readonly runMsMax: number;
}

/** A blocking read of an idle consumer, which also finds what has become due, lasts as long at most. */
const DUE_MARGIN_MS = 10_000;

export class StallWatch {
  readonly #deps: StallWatchDeps;
  /** Since when looks have come through without a gap. */
  #healthySinceMs: number | undefined;
  /** Since when each of them has found something that waits, and a free slot for it. */
  #waitsSinceMs: number | undefined;
  #lookedAtMs = 0;

  constructor(deps: StallWatchDeps) {
    this.#deps = deps;
  }

  /** A look came through; `timeMs` is the time of day, by which jobs become due. */
  see(counts: QueueCounts, { nowMs, timeMs }: { readonly nowMs: number; readonly timeMs: number }): void {
    if (nowMs - this.#lookedAtMs > LOOK_GAP_MS_MAX) this.miss();
    this.#lookedAtMs = nowMs;
    this.#healthySinceMs ??= nowMs;
    if (!hasWork(counts, timeMs) || this.#deps.progress.isFull) this.#waitsSinceMs = undefined;
    else this.#waitsSinceMs ??= nowMs;
  }

  /** One did not, or Redis takes no writes. */
  miss(): void {
    this.#healthySinceMs = undefined;
    this.#waitsSinceMs = undefined;
  }

  /** As the last look found it. */
  get stall(): Stall | undefined {
    const { progress, runMsMax } = this.#deps;
    if (this.#healthySinceMs === undefined) return undefined;
    if (progress.isFull) {
      const sinceMs = Math.max(progress.movedAtMs, this.#healthySinceMs);
      return stalled('hanging', this.#lookedAtMs - sinceMs - runMsMax);
    }
    if (this.#waitsSinceMs === undefined) return undefined;
    return stalled('not-taking', this.#lookedAtMs - Math.max(this.#waitsSinceMs, progress.beganAtMs));
  }
}

function hasWork({ isPaused, waiting, firstDueAtMs }: QueueCounts, timeMs: number): boolean {
  if (isPaused) return false;
  // One that is due is moved to the waiting ones by a consumer, when it wakes up for it.
  return waiting > 0 || (firstDueAtMs !== undefined && firstDueAtMs + DUE_MARGIN_MS < timeMs);
}

function stalled(kind: Stall['kind'], forMs: number): Stall | undefined {
  return forMs > 0 ? { kind, forMs } : undefined;
}
