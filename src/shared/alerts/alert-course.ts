import { LOOK_GAP_MS_MAX } from '../look-gap.js';

/** What one look changed. */
export type AlertChange = 'fires' | 'resolves';

const RESOLVES_AFTER_MS = 30_000;
/** One that came and went this often within the hour is over only after a longer rest: that bounds how often it is told. */
const FLAPS_MAX = 3;
const FLAPS_WITHIN_MS = 3_600_000;
const RESOLVES_AFTER_FLAPS_MS = 600_000;

/**
 * One alert as one process sees it. *quiet*, until its rule holds; *pending*, while it has not held for long enough; *firing*, until the
 * rule has not held for half a minute. Times are of a clock that is never set.
 */
export class AlertCourse {
  readonly #forMs: number;
  #state: 'quiet' | 'pending' | 'firing' = 'quiet';
  #sinceMs = 0;
  #heldAtMs = 0;
  #seenAtMs = -Infinity;
  #firedAtMs: number[] = [];

  constructor(forMs: number) {
    this.#forMs = forMs;
  }

  get isFiring(): boolean {
    return this.#state === 'firing';
  }

  /** When its rule began to hold, this time. */
  get sinceMs(): number {
    return this.#sinceMs;
  }

  /** To be told at each look whether the rule holds. */
  see(holds: boolean, nowMs: number): AlertChange | undefined {
    const isAfterGap = nowMs - this.#seenAtMs > LOOK_GAP_MS_MAX;
    this.#seenAtMs = nowMs;
    if (holds) return this.#hold(nowMs, isAfterGap);
    if (this.#state === 'pending') this.#state = 'quiet';
    if (this.#state === 'quiet') return undefined;
    if (isAfterGap) this.#heldAtMs = nowMs;
    if (nowMs - this.#heldAtMs < this.#resolvesAfterMs(nowMs)) return undefined;
    this.#state = 'quiet';
    return 'resolves';
  }

  #hold(nowMs: number, isAfterGap: boolean): AlertChange | undefined {
    this.#heldAtMs = nowMs;
    if (this.#state === 'firing') return undefined;
    if (this.#state === 'quiet' || isAfterGap) this.#sinceMs = nowMs;
    this.#state = 'pending';
    if (nowMs - this.#sinceMs < this.#forMs) return undefined;
    this.#state = 'firing';
    this.#firedAtMs = [...this.#firedAtMs.filter((atMs) => nowMs - atMs < FLAPS_WITHIN_MS), nowMs];
    return 'fires';
  }

  #resolvesAfterMs(nowMs: number): number {
    const flaps = this.#firedAtMs.filter((atMs) => nowMs - atMs < FLAPS_WITHIN_MS).length;
    return flaps > FLAPS_MAX ? RESOLVES_AFTER_FLAPS_MS : RESOLVES_AFTER_MS;
  }
}
