/**
 * Bounds how many runs are under way at a time. A full set makes others wait while it moves; where nothing has left it for
 * {@link HANGING_MS} it hangs, and they are turned away at once, because their own places are needed elsewhere.
 */
export interface Slots {
  /** Undefined where there was no room in time, or `signal` was aborted. */
  enter(signal: AbortSignal): Promise<Slot | undefined>;
}

export interface Slot {
  leave(): void;
}

export const HANGING_MS = 2000;

export function createSlots(max: number, now: () => number): Slots {
  const waiting = new Set<() => void>();
  let taken = 0;
  let lastLeftAtMs = now();

  const take = (): Slot => {
    taken += 1;
    return {
      leave() {
        taken -= 1;
        lastLeftAtMs = now();
        const [next] = waiting;
        next?.();
      },
    };
  };

  return {
    async enter(signal) {
      // An empty set that fills up counts as moving: its runs have only just begun.
      if (taken === 0) lastLeftAtMs = now();
      if (taken < max) return take();
      if (signal.aborted || now() - lastLeftAtMs > HANGING_MS) return undefined;
      return new Promise((resolve) => {
        const finish = (slot: Slot | undefined): void => {
          clearTimeout(timer);
          signal.removeEventListener('abort', giveUp);
          waiting.delete(enterNow);
          resolve(slot);
        };
        const giveUp = (): void => finish(undefined);
        const enterNow = (): void => finish(take());
        const timer = setTimeout(giveUp, HANGING_MS);
        signal.addEventListener('abort', giveUp);
        waiting.add(enterNow);
      });
    },
  };
}
