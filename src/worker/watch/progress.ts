/** How one consumer moves. Times are of a clock that only goes forward, in ms. */
export class Progress {
  readonly #nowMs: () => number;
  #active = 0;
  #beganAtMs: number;
  #endedAtMs: number;

  constructor(
    readonly queue: string,
    readonly concurrency: number,
    nowMs: () => number,
  ) {
    this.#nowMs = nowMs;
    this.#beganAtMs = nowMs();
    this.#endedAtMs = nowMs();
  }

  /** Runs that are under way. */
  get active(): number {
    return this.#active;
  }

  get isFull(): boolean {
    return this.#active >= this.concurrency;
  }

  /** When a run began last; the start of the process where none did. */
  get beganAtMs(): number {
    return this.#beganAtMs;
  }

  /** When a run began or ended last. */
  get movedAtMs(): number {
    return Math.max(this.#beganAtMs, this.#endedAtMs);
  }

  begins(): void {
    this.#active += 1;
    this.#beganAtMs = this.#nowMs();
  }

  ends(): void {
    this.#active -= 1;
    this.#endedAtMs = this.#nowMs();
  }
}
