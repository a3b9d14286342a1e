import type { Progress } from './journal-folder.js';

/**
 * How far one journal has been moved to Redis:
 *
 *     deleted … | held: confirmed, might be needed again … | still to be sent …
 *            purged                                   confirmed
 *
 * A confirmation of Redis is not yet for ever: a restart without its last second, a failover, a flush may undo it. So confirmed
 * records are held, and when Redis turns out to be another one, they are all sent again.
 */
export class DrainPosition {
  #purged: number;
  #confirmed: number;
  #isChanged = false;
  #held: { readonly to: number; readonly confirmedAtMs: number }[] = [];

  constructor(purged = 0, confirmed = purged) {
    this.#purged = purged;
    this.#confirmed = confirmed;
  }

  /** Of a journal that was begun by another process: what that one confirmed counts only if this is the same Redis, and as if confirmed now. */
  static resume(progress: Progress | undefined, redis: string, nowMs: number): DrainPosition {
    const purged = progress?.purged ?? 0;
    const position = new DrainPosition(purged);
    if (progress?.redis === redis) position.confirm(progress.confirmed, nowMs);
    return position;
  }

  get purged(): number {
    return this.#purged;
  }

  get confirmed(): number {
    return this.#confirmed;
  }

  /** There is something that {@link markSaved} has not told yet. */
  get isChanged(): boolean {
    return this.#isChanged;
  }

  markSaved(): Pick<Progress, 'confirmed' | 'purged'> {
    this.#isChanged = false;
    return { confirmed: this.#confirmed, purged: this.#purged };
  }

  confirm(to: number, nowMs: number): void {
    if (to <= this.#confirmed) return;
    this.#isChanged = true;
    this.#confirmed = to;
    this.#held.push({ to, confirmedAtMs: nowMs });
  }

  /** The newest record that was confirmed by a certain time; what is purged already is no answer. */
  confirmedBy(timeMs: number): number | undefined {
    const last = this.#held.findLast((range) => range.confirmedAtMs <= timeMs);
    return last?.to;
  }

  purge(to: number): void {
    this.#isChanged = true;
    this.#purged = Math.max(this.#purged, to);
    this.#held = this.#held.filter((range) => range.to > to);
  }

  /** All that is held is to be sent again. */
  rewind(): number {
    this.#isChanged = true;
    const count = this.#confirmed - this.#purged;
    this.#confirmed = this.#purged;
    this.#held = [];
    return count;
  }
}
