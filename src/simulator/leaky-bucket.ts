export interface BucketSize {
  readonly perSecond: number;
  readonly burst: number;
}

/** https://apidocs.bitrix24.com/limits.html */
export const ORDINARY_BUCKET: BucketSize = { perSecond: 2, burst: 50 };
export const ENTERPRISE_BUCKET: BucketSize = { perSecond: 5, burst: 250 };

/** How many calls a portal takes: every call fills the bucket by one, and it drains all the time. */
export class LeakyBucket {
  readonly #size: BucketSize;
  #level = 0;
  #atMs = 0;
  /** Calls that found it full. */
  refused = 0;

  constructor(size: BucketSize) {
    this.#size = size;
  }

  /** Whether a call that arrives now is let in. One that is not does not fill the bucket further. */
  take(nowMs: number): boolean {
    const drained = (Math.max(0, nowMs - this.#atMs) / 1000) * this.#size.perSecond;
    this.#level = Math.max(0, this.#level - drained);
    this.#atMs = Math.max(this.#atMs, nowMs);
    if (this.#level + 1 > this.#size.burst) {
      this.refused += 1;
      return false;
    }
    this.#level += 1;
    return true;
  }

  /** As though somebody else on this machine had used it up. */
  fill(nowMs: number): void {
    this.#level = this.#size.burst;
    this.#atMs = nowMs;
  }
}
