import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../shared/caught-error.js';
import type { Logger } from '../shared/logger.js';
import { JournalFolder, JournalFolderError, type JournalRecord, type Progress } from './journal-folder.js';

/** What the drain reads: one folder of records. */
export interface RecordSource {
  readonly id: string;
  /** Of the newest record; where it was not kept, it is turned away or still on its way. */
  readonly lastSequence: number;
  read(after: number, recordsMax?: number): Promise<JournalRecord[]>;
  readProgress(): Promise<Progress | undefined>;
  writeProgress(progress: Progress): Promise<void>;
  /** Deletes records that need never be sent again. */
  purge(from: number, to: number): Promise<void>;
}

/** The disk cannot take a record now; nothing of it was promised. */
export class StorageError extends Error {
  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options);
    this.name = 'StorageError';
  }
}

export interface JournalDeps {
  /** The folder in which each process has its own. */
  readonly dir: string;
  /** Folders that this process has open or is opening; see {@link JournalFolder} for why none may be opened twice. */
  readonly opened: Set<string>;
  readonly logger: Logger;
  /** Told after each group that is on disk. */
  readonly onAppended: () => void;
}

interface Waiting {
  readonly text: string;
  resolve(): void;
  reject(error: StorageError): void;
}

/** A write that no answer waits for: a deletion, the progress. */
interface Chore {
  readonly folder: JournalFolder;
  run(): Promise<void>;
  resolve(): void;
  reject(error: StorageError): void;
}

const RETRY_MS = 300;
/** Other processes may take the folder between its making and its opening; not so often in a row. */
const OPEN_ATTEMPTS_MAX = 5;
/** In one write, behind which records wait for their own. */
const DELETE_RECORDS_MAX = 1000;
/** A write that takes longer is one that nobody waits for any more. */
const WRITE_MS_MAX = 5000;
/** Room of deleted records is given back in pieces of about this many records. */
const COMPACT_RECORDS = 20_000;

/**
 * The journal that this process writes. It is in one of three states:
 *
 * - *open*: takes records. Whatever arrives while one write is under way goes into the next, so that one fsync serves many.
 * - *reopening*, from any failed write until it has been closed and opened again: every record is turned away. After ENOSPC
 *   LevelDB reports later synced writes as done and keeps nothing of them (google/leveldb#578), so a journal that failed once
 *   is not believed until it was opened anew. That may itself fail for as long as the disk is full, and is tried until it works.
 * - *closed*.
 *
 * While it is closed for a moment, another process may find the folder free and take it over. Then that one drains what is
 * in it, and this one goes on in a new folder. Sequences go on too: one that failed may be on disk all the same.
 */
export class Journal {
  readonly #deps: JournalDeps;
  #state: 'open' | 'reopening' | 'closed' = 'open';
  /** None where the disk was full already when the process started. */
  #folder: JournalFolder | undefined;
  #source: RecordSource | undefined;
  #nextSequence = 1;
  #waiting: Waiting[] = [];
  #chores: Chore[] = [];
  #isWriting = false;
  #writeBeganMs = 0;
  #reopened: Promise<void> = Promise.resolve();
  #compactedTo = 0;

  private constructor(deps: JournalDeps, folder: JournalFolder | undefined) {
    this.#deps = deps;
    this.#folder = folder;
    this.#source = folder && this.#sourceOf(folder);
  }

  /**
   * Always in a new folder: what an earlier process left is taken over as any other abandoned journal. On a full disk there is none
   * until there is room; the journals that fill it are drained meanwhile.
   */
  static async open(deps: JournalDeps): Promise<Journal> {
    try {
      return new Journal(deps, await openNewFolder(deps));
    } catch (error) {
      if (!(error instanceof JournalFolderError) || !error.isDiskFull) throw error;
      const journal = new Journal(deps, undefined);
      journal.#fail(error);
      return journal;
    }
  }

  /** What was written here, for the drain. Another object once the journal has moved to a new folder. */
  get source(): RecordSource | undefined {
    return this.#source;
  }

  /** Why it takes no record now, or none that would be on disk soon. */
  get problem(): string | undefined {
    if (this.#state !== 'open') return `the journal is ${this.#state}`;
    const writingMs = this.#isWriting ? performance.now() - this.#writeBeganMs : 0;
    if (writingMs <= WRITE_MS_MAX) return undefined;
    return `a write to the journal has been under way for ${Math.round(writingMs / 1000)} s`;
  }

  /**
   * Resolves when the record is on disk.
   *
   * @throws {StorageError} when it may not be.
   */
  append(text: string): Promise<void> {
    if (this.#state !== 'open') return Promise.reject(new StorageError(`the journal is ${this.#state}`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  /** Waits for the write under way; whatever comes later is turned away. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#rejectWaiting(new StorageError('the journal is closed'));
    await this.#reopened;
    await this.#folder?.close();
  }

  /** One write at a time: a record must never be believed that was written beside, and so perhaps behind, a write that failed. */
  async #writeAll(): Promise<void> {
    this.#isWriting = true;
    while (this.#state === 'open' && this.#waiting.length + this.#chores.length > 0) {
      this.#writeBeganMs = performance.now();
      if (this.#waiting.length > 0) await this.#writeGroup(this.#waiting.splice(0));
      const chore = this.#chores.shift();
      if (chore) await this.#do(chore);
    }
    this.#isWriting = false;
  }

  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    const first = this.#nextSequence;
    this.#nextSequence += group.length;
    try {
      const texts = group.map((waiting) => waiting.text);
      await this.#current().append(first, texts);
    } catch (error) {
      this.#fail(error);
      for (const waiting of group) waiting.reject(new StorageError('the write failed', { cause: error }));
      return;
    }
    for (const waiting of group) waiting.resolve();
    this.#deps.onAppended();
  }

  #current(): JournalFolder {
    if (!this.#folder) throw new StorageError('there is no journal yet');
    return this.#folder;
  }

  #fail(error: unknown): void {
    if (this.#state !== 'open') return;
    this.#state = 'reopening';
    const reason = errorMessage(error);
    this.#deps.logger.warn({ event: 'journal.failed', reason }, 'a write to the journal failed; opening it anew');
    this.#rejectWaiting(new StorageError('an earlier write failed', { cause: error }));
    this.#reopened = this.#reopen();
  }

  #rejectWaiting(error: StorageError): void {
    for (const waiting of [...this.#waiting.splice(0), ...this.#chores.splice(0)]) waiting.reject(error);
  }

  async #reopen(): Promise<void> {
    await this.#folder?.close().catch(() => undefined);
    for (;;) {
      const folder = await this.#tryToReopen();
      if (folder) {
        this.#goOnIn(folder);
        return;
      }
      if (this.#state === 'closed') return;
      await sleep(RETRY_MS);
    }
  }

  #goOnIn(folder: JournalFolder): void {
    if (folder.path !== this.#folder?.path) {
      if (this.#folder) this.#deps.opened.delete(this.#folder.path);
      this.#source = this.#sourceOf(folder);
    }
    this.#folder = folder;
    if (this.#state === 'reopening') this.#state = 'open';
    this.#deps.logger.info({ event: 'journal.reopened', journal: folder.path }, 'the journal takes events again');
    this.#deps.onAppended();
  }

  async #tryToReopen(): Promise<JournalFolder | undefined> {
    try {
      if (!this.#folder) return await openNewFolder(this.#deps);
      return await JournalFolder.open(this.#folder.path, { create: false });
    } catch (error) {
      const isOurs = !(error instanceof JournalFolderError) || error.problem === 'failed';
      if (isOurs) return undefined;
      return openNewFolder(this.#deps).catch(() => undefined);
    }
  }

  /** Bound to one folder: once the journal has moved on, it answers no more, and the neighbour who has the folder drains it. */
  #sourceOf({ path }: JournalFolder): RecordSource {
    const lastSequence = (): number => this.#nextSequence - 1;
    const current = (): JournalFolder => {
      if (this.#state === 'open' && this.#folder?.path === path) return this.#folder;
      throw new StorageError(`the journal ${path} cannot be reached now`);
    };
    return {
      id: path,
      get lastSequence() {
        return lastSequence();
      },
      read: async (after, recordsMax) => current().read(after, recordsMax),
      readProgress: async () => current().readProgress(),
      writeProgress: async (progress) => this.#enqueue(current(), (folder) => folder.writeProgress(progress)),
      purge: async (from, to) => {
        for (let first = from; first <= to; first += DELETE_RECORDS_MAX) {
          const last = Math.min(to, first + DELETE_RECORDS_MAX - 1);
          await this.#enqueue(current(), (folder) => folder.delete(first, last));
        }
        this.#compactNowAndThen(current(), to);
      },
    };
  }

  #enqueue(folder: JournalFolder, run: (folder: JournalFolder) => Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#chores.push({ folder, run: () => run(folder), resolve, reject });
      if (!this.#isWriting) void this.#writeAll();
    });
  }

  async #do(chore: Chore): Promise<void> {
    if (this.#state !== 'open' || chore.folder !== this.#folder) {
      chore.reject(new StorageError('the journal was opened anew'));
      return;
    }
    try {
      await chore.run();
      chore.resolve();
    } catch (error) {
      this.#fail(error);
      chore.reject(new StorageError('the write failed', { cause: error }));
    }
  }

  #compactNowAndThen(folder: JournalFolder, purgedTo: number): void {
    if (purgedTo - this.#compactedTo < COMPACT_RECORDS) return;
    const from = this.#compactedTo;
    this.#compactedTo = purgedTo;
    // Not waited for: it takes as long as it takes, and LevelDB takes writes meanwhile.
    folder.compact(from, purgedTo).catch(() => undefined);
  }
}

async function openNewFolder({ dir, opened }: JournalDeps): Promise<JournalFolder> {
  for (let attempt = 1; ; attempt++) {
    // The time comes first, so that the names sort by age.
    const id = `${new Date().toISOString().replaceAll(/[-:.]/g, '')}-${randomBytes(6).toString('hex')}`;
    const path = join(dir, id);
    opened.add(path);
    try {
      return await JournalFolder.open(path, { create: true });
    } catch (error) {
      opened.delete(path);
      const isTaken = error instanceof JournalFolderError && error.problem !== 'failed';
      if (!isTaken || attempt === OPEN_ATTEMPTS_MAX) throw error;
    }
  }
}
