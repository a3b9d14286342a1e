import type { Logger } from '../shared/logger.js';

/** What the gate looks at; all of it is answered by Redis in constant time. */
export interface QueueLoad {
  readonly waitingDeliveries: number;
  readonly usedBytes: number;
  /** `maxmemory`; 0 where none is set. */
  readonly bytesMax: number;
}

export interface QueueGateDeps {
  readonly load: () => Promise<QueueLoad>;
  readonly logger: Logger;
  readonly nowMs: () => number;
}

const WAITING_SHARE_MAX = 0.4;
const USED_SHARE_MAX = 0.8;
/** Where no `maxmemory` is set: some 500,000 usual deliveries. */
const WAITING_BYTES_MAX = 1_325_000_000;
/** Once closed, it opens when the load has fallen to this share of its limits: not for one record at a time. */
const REOPEN_SHARE = 0.9;
const CHECK_EVERY_MS = 500;
/** Over about so many records: soon enough for a flood of large ones. */
const AVERAGE_OF = 100;
/** It was open for this long: it may be said that it is over. */
const CALM_MS = 5000;

/** What a job takes in Redis, for a record of this length in the journal (measured: hash, id in the list, entry in the stream). */
export function redisBytesOf(recordLength: number): number {
  return recordLength * 1.3 + 700;
}

/**
 * Stops the drain well before Redis is full. A full Redis refuses the finishing of a job too, and so would never get empty
 * again; the rest waits in the journal. `admit` counts down what the last look has left, so that looks can be rare.
 */
export class QueueGate {
  readonly #deps: QueueGateDeps;
  #checkedAtMs = Number.NEGATIVE_INFINITY;
  #bytesLeft = 0;
  #averageBytes = redisBytesOf(1500);
  #closedAtMs: number | undefined;
  #isClosed = false;

  constructor(deps: QueueGateDeps) {
    this.#deps = deps;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** How many of the next records may be added now, by their lengths. */
  async admit(recordLengths: readonly number[]): Promise<number> {
    const isOld = this.#deps.nowMs() - this.#checkedAtMs >= CHECK_EVERY_MS;
    if (isOld || this.#bytesLeft <= 0) await this.#look();
    let admitted = 0;
    while (admitted < recordLengths.length && this.#bytesLeft > 0) {
      const bytes = redisBytesOf(recordLengths[admitted] ?? 0);
      this.#averageBytes += (bytes - this.#averageBytes) / AVERAGE_OF;
      this.#bytesLeft -= bytes;
      admitted += 1;
    }
    return admitted;
  }

  async #look(): Promise<void> {
    const load = await this.#deps.load();
    this.#checkedAtMs = this.#deps.nowMs();
    this.#bytesLeft = bytesLeft(load, this.#averageBytes, this.#isClosed ? REOPEN_SHARE : 1);
    this.#tell(this.#bytesLeft <= 0, load);
  }

  /** Once each: near its limit the gate opens and closes many times. */
  #tell(isClosed: boolean, load: QueueLoad): void {
    this.#isClosed = isClosed;
    const nowMs = this.#checkedAtMs;
    if (isClosed) {
      if (this.#closedAtMs === undefined)
        this.#deps.logger.warn(
          { event: 'drain.paused', ...load },
          'Redis is as full as it may get; events wait in the journal',
        );
      this.#closedAtMs = nowMs;
    } else if (this.#closedAtMs !== undefined && nowMs - this.#closedAtMs >= CALM_MS) {
      this.#closedAtMs = undefined;
      this.#deps.logger.info({ event: 'drain.resumed', ...load }, 'Redis has room again; the journal is drained');
    }
  }
}

function bytesLeft(load: QueueLoad, averageBytes: number, share: number): number {
  const waitingBytes = load.waitingDeliveries * averageBytes;
  if (load.bytesMax === 0) return WAITING_BYTES_MAX * share - waitingBytes;
  const untilWaiting = load.bytesMax * WAITING_SHARE_MAX * share - waitingBytes;
  const untilUsed = load.bytesMax * USED_SHARE_MAX * share - load.usedBytes;
  return Math.min(untilWaiting, untilUsed);
}
