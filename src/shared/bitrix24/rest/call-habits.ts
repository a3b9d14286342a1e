/**
 * How many calls the runs of an effect make, as they have made them lately. A run that must wait for the budget leaves its slot and
 * begins anew: with places for all its calls it comes to its end then, and makes none of them a third time.
 */
export class CallHabits {
  readonly #calls = new Map<string, number>();

  noteRun(runKey: string): void {
    const effect = effectOf(runKey);
    const known = this.#calls.get(effect);
    if (known !== undefined) this.#calls.set(effect, Math.max(1, known * FADING));
  }

  noteCalls(runKey: string, calls: number): void {
    const effect = effectOf(runKey);
    if (calls <= (this.#calls.get(effect) ?? 1)) return;
    if (this.#calls.size >= EFFECTS_MAX) this.#calls.clear();
    this.#calls.set(effect, calls);
  }

  /** At least the calls that the run has made, and this one. */
  placesFor(runKey: string, calls: number): number {
    return Math.max(calls, Math.min(PLACES_MAX, Math.round(this.#calls.get(effectOf(runKey)) ?? 1)));
  }
}

/** One run with many calls must not make all others of its effect reserve as many for long. */
const FADING = 0.98;
const PLACES_MAX = 20;
const EFFECTS_MAX = 1000;

/** Run keys are `<event>.<effect>`; the id of an event has no dot. */
function effectOf(runKey: string): string {
  return runKey.slice(runKey.indexOf('.') + 1);
}
