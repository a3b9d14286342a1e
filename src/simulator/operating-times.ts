const MINUTE_MS = 60_000;
const WINDOW_MINUTES = 10;
/** Of work by one method in ten minutes (https://apidocs.bitrix24.com/limits.html). */
const LIMIT_SECONDS = 480;

export interface Operating {
  /** Seconds of work by this method in the last ten minutes. */
  readonly operating: number;
  /** Unix seconds: when the oldest minute of them no longer counts. */
  readonly operating_reset_at: number;
}

/** How long the portal worked for each method, in ten buckets of a minute. */
export class OperatingTimes {
  readonly #minutes = new Map<string, Map<number, number>>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  add(method: string, seconds: number): void {
    const minutes = this.#recent(method);
    const minute = Math.floor(this.#now() / MINUTE_MS);
    minutes.set(minute, (minutes.get(minute) ?? 0) + seconds);
    this.#minutes.set(method, minutes);
  }

  of(method: string): Operating {
    const minutes = this.#recent(method);
    const oldest = Math.min(Math.floor(this.#now() / MINUTE_MS), ...minutes.keys());
    const operating = [...minutes.values()].reduce((sum, seconds) => sum + seconds, 0);
    return { operating, operating_reset_at: (oldest + WINDOW_MINUTES) * 60 };
  }

  isOverLimit(method: string): boolean {
    return this.of(method).operating >= LIMIT_SECONDS;
  }

  /** The method is refused from now on, until its time counts no longer or `clear` is called. */
  block(method: string): void {
    this.add(method, LIMIT_SECONDS);
  }

  clear(): void {
    this.#minutes.clear();
  }

  #recent(method: string): Map<number, number> {
    const first = Math.floor(this.#now() / MINUTE_MS) - WINDOW_MINUTES + 1;
    return new Map([...(this.#minutes.get(method) ?? [])].filter(([minute]) => minute >= first));
  }
}
