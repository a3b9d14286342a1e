import { withTimeLimit } from '../shared/time-limit.js';
import type { RecordSource } from './journal.js';

/** The records that no Redis has confirmed. */
export interface BacklogState {
  readonly records: number;
  /** When the oldest of them was received, in ms since 1970; undefined where there is none, or it cannot be read now. */
  readonly oldestAtMs: number | undefined;
}

export interface BacklogDeps {
  readonly sources: () => readonly RecordSource[];
  /** Up to which record of it Redis has confirmed; 0 where that is not known yet. */
  readonly confirmedOf: (source: RecordSource) => number;
}

const READ_MS = 500;
const NOTHING: BacklogState = { records: 0, oldestAtMs: undefined };

/** Tells how much waits in the journals, also while the drain stands still. It reads one record of each journal that has any. */
export class Backlog {
  readonly #deps: BacklogDeps;
  /** What the last look found; one record may stay the oldest for a long time. */
  readonly #known = new WeakMap<RecordSource, { readonly confirmed: number; readonly atMs: number | undefined }>();

  constructor(deps: BacklogDeps) {
    this.#deps = deps;
  }

  async look(): Promise<BacklogState> {
    const looks = await Promise.all(this.#deps.sources().map((source) => this.#lookAt(source)));
    const times = looks.flatMap(({ oldestAtMs }) => oldestAtMs ?? []);
    const records = looks.reduce((sum, look) => sum + look.records, 0);
    return { records, oldestAtMs: times.length === 0 ? undefined : Math.min(...times) };
  }

  async #lookAt(source: RecordSource): Promise<BacklogState> {
    const confirmed = this.#deps.confirmedOf(source);
    const records = source.lastSequence - confirmed;
    if (records <= 0) return NOTHING;
    const known = this.#known.get(source);
    if (known?.confirmed === confirmed) return { records, oldestAtMs: known.atMs };
    try {
      const [first] = await withTimeLimit(source.read(confirmed, 1), READ_MS, 'a look at the journal');
      // Sequences of records that were turned away are not used again.
      if (!first) return NOTHING;
      const atMs = receivedAtMsIn(first.text);
      this.#known.set(source, { confirmed, atMs });
      return { records, oldestAtMs: atMs };
    } catch {
      // It is being opened anew, or the disk hangs: what was known still holds, if only nearly.
      return { records, oldestAtMs: known?.atMs };
    }
  }
}

function receivedAtMsIn(record: string): number | undefined {
  try {
    const { receivedAtMs } = JSON.parse(record) as { readonly receivedAtMs?: unknown };
    return typeof receivedAtMs === 'number' ? receivedAtMs : undefined;
  } catch {
    return undefined;
  }
}
