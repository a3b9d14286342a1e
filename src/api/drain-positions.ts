import { errorMessage } from '../shared/caught-error.js';
import type { Logger } from '../shared/logger.js';
import { Backlog, type BacklogState } from './backlog.js';
import { DrainPosition } from './drain-position.js';
import { StorageError, type RecordSource } from './journal.js';
import type { JournalRecord } from './journal-folder.js';
import type { Journals } from './journals.js';
import type { Contact } from './redis-contact.js';

export interface DrainPositionsDeps {
  readonly journals: Pick<Journals, 'sources' | 'remove'>;
  readonly logger: Logger;
  readonly nowMs: () => number;
  readonly holdMs: number;
}

/** Where the drain goes on. */
export interface DrainPlace {
  readonly position: DrainPosition;
  readonly records: readonly JournalRecord[];
}

/** How far each journal has been moved, and what follows from a look at Redis for all of them. */
export class DrainPositions {
  readonly #deps: DrainPositionsDeps;
  readonly #positions = new Map<RecordSource, DrainPosition>();
  readonly #unreadable = new Set<RecordSource>();
  readonly #backlog: Backlog;
  #identity: string | undefined;

  constructor(deps: DrainPositionsDeps) {
    this.#deps = deps;
    this.#backlog = new Backlog({
      sources: () => deps.journals.sources,
      confirmedOf: (source) => this.#positions.get(source)?.confirmed ?? 0,
    });
  }

  /** What is still to be sent. */
  backlog(): Promise<BacklogState> {
    return this.#backlog.look();
  }

  get waiting(): number {
    let waiting = 0;
    for (const source of this.#deps.journals.sources) {
      waiting += source.lastSequence - (this.#positions.get(source)?.confirmed ?? 0);
    }
    return waiting;
  }

  /** The first records that are still to be sent, of the oldest journal that has any. */
  async next(): Promise<DrainPlace | undefined> {
    for (const source of this.#deps.journals.sources) {
      const position = await this.#positionOf(source);
      const isAtEnd = position.confirmed >= source.lastSequence;
      const records = isAtEnd ? [] : await this.#read(source, position.confirmed);
      if (records.length > 0) return { position, records };
    }
    return undefined;
  }

  /** To another Redis all that is held is sent again; by the same one, what was held long enough is confirmed for good. */
  async settle(contact: Contact): Promise<void> {
    const isAnother = this.#identity !== undefined && this.#identity !== contact.identity;
    this.#identity = contact.identity;
    for (const source of this.#positions.keys()) {
      if (!this.#deps.journals.sources.includes(source)) this.#positions.delete(source);
    }
    if (isAnother) this.#rewindAll();
    for (const source of this.#deps.journals.sources) {
      const position = await this.#positionOf(source);
      await this.#purge(source, position, contact.checkedAtMs - this.#deps.holdMs);
    }
    await this.save();
  }

  /** So that another process, later, need not send everything again. Nothing is lost where it fails. */
  async save(): Promise<void> {
    const redis = this.#identity;
    if (redis === undefined) return;
    const known = this.#deps.journals.sources.filter((source) => this.#positions.get(source)?.isChanged);
    for (const source of known) {
      const position = this.#positions.get(source);
      if (!position) continue;
      const progress = { ...position.markSaved(), redis };
      await source.writeProgress(progress).catch(() => undefined);
    }
  }

  #rewindAll(): void {
    let held = 0;
    for (const position of this.#positions.values()) held += position.rewind();
    this.#deps.logger.warn(
      { event: 'redis.changed', held },
      'Redis was restarted, replaced or flushed; what was confirmed a moment ago is sent again',
    );
  }

  async #purge(source: RecordSource, position: DrainPosition, confirmedByMs: number): Promise<void> {
    const to = position.confirmedBy(confirmedByMs);
    if (to !== undefined) {
      await source.purge(position.purged + 1, to);
      position.purge(to);
    }
    // Does nothing for the journal that is written.
    if (position.purged >= source.lastSequence) await this.#deps.journals.remove(source);
  }

  async #positionOf(source: RecordSource): Promise<DrainPosition> {
    const known = this.#positions.get(source);
    if (known) return known;
    const progress = await source.readProgress();
    const position = DrainPosition.resume(progress, this.#identity ?? '', this.#deps.nowMs());
    this.#positions.set(source, position);
    return position;
  }

  /** A journal that cannot be read must not hold up those that can. */
  async #read(source: RecordSource, after: number): Promise<readonly JournalRecord[]> {
    try {
      return await source.read(after);
    } catch (error) {
      if (error instanceof StorageError) throw error;
      const reason = errorMessage(error);
      if (!this.#unreadable.has(source))
        this.#deps.logger.error(
          { event: 'journal.unreadable', journal: source.id, reason },
          'a journal cannot be read',
        );
      this.#unreadable.add(source);
      return [];
    }
  }
}
