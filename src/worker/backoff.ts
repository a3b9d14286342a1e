/**
 * Exponential with full jitter: anything from nothing to a bound that doubles with each attempt, up to a cap. The jitter spreads
 * what failed together. https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
 */
export interface Backoff {
  /** The wait in ms after so many failed attempts, 1 after the first. */
  delayMs(attemptsMade: number): number;
}

export function createBackoff(bounds: { baseMs: number; capMs: number }, random: () => number = Math.random): Backoff {
  return {
    delayMs(attemptsMade) {
      const boundMs = Math.min(bounds.capMs, bounds.baseMs * 2 ** Math.min(attemptsMade - 1, 40));
      return Math.floor(random() * boundMs);
    },
  };
}
