/** How many lines of a process of foreign code go into the log; the rest is counted, and told as a number. */
export interface LineBudget {
  /** Whether the next line may go into the log. */
  take(): boolean;
  /** To be called once in each period. */
  renew(): void;
}

export function createLineBudget(linesMax: number, onLeftOut: (lines: number) => void): LineBudget {
  let taken = 0;
  return {
    take() {
      taken += 1;
      return taken <= linesMax;
    },
    renew() {
      if (taken > linesMax) onLeftOut(taken - linesMax);
      taken = 0;
    },
  };
}
