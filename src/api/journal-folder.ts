import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { errorCode } from '../shared/caught-error.js';

/** A record with its place in the order of one folder; sequences begin at 1 and only grow. */
export interface JournalRecord {
  readonly sequence: number;
  readonly text: string;
}

/** How far a folder has been moved to Redis. It is written now and then, unsynced: an older one only makes more be sent again. */
export interface Progress {
  /** Up to here the queue has confirmed. */
  readonly confirmed: number;
  /** Up to here the records are deleted, or need never be sent again. */
  readonly purged: number;
  /** The Redis that confirmed; to any other one the confirmed records must be sent again. */
  readonly redis: string;
}

export type FolderProblem =
  /** Another process has it open. */
  | 'held'
  /** There is no journal in it, or no folder at all. */
  | 'missing'
  /** The disk is full, or fails. */
  | 'failed';

export class JournalFolderError extends Error {
  readonly isDiskFull: boolean;

  constructor(
    readonly problem: FolderProblem,
    path: string,
    cause: unknown,
  ) {
    super(`the journal ${path} cannot be opened: ${reasonOf(cause)}`, { cause });
    this.name = 'JournalFolderError';
    // LevelDB passes the system's words on, and no code.
    this.isDiskFull = /No space left on device|quota exceeded/i.test(reasonOf(cause));
  }
}

/** Records and bytes that one read answers at most; a single record may be larger. */
const READ_RECORDS_MAX = 256;
const READ_BYTES_MAX = 1_048_576;
const SEQUENCE_DIGITS = 16;
const PROGRESS_KEY = 'progress';
/** Fewer and larger files than LevelDB's defaults: the sizes of all of them are added up every second. */
const FILE_BYTES_MAX = 16 * 1_048_576;
const WRITE_BUFFER_BYTES = 8 * 1_048_576;

/**
 * One LevelDB in a folder of its own. LevelDB holds a lock of the operating system on it, which ends with the process, however
 * that ends: it is what says that a folder is in use.
 *
 * Within one process no folder may be opened twice: POSIX drops a process's locks on a file when any of its descriptors of
 * that file is closed, and the refused second opening would close one.
 */
export class JournalFolder {
  readonly path: string;
  readonly #db: ClassicLevel;

  private constructor(path: string, db: ClassicLevel) {
    this.path = path;
    this.#db = db;
  }

  /** @throws {JournalFolderError} */
  static async open(path: string, options: { create: boolean }): Promise<JournalFolder> {
    const db = new ClassicLevel(path, {
      createIfMissing: options.create,
      errorIfExists: options.create,
      maxFileSize: FILE_BYTES_MAX,
      writeBufferSize: WRITE_BUFFER_BYTES,
    });
    try {
      await db.open();
      if (options.create) await syncFolder(dirname(path));
    } catch (error) {
      await db.close().catch(() => undefined);
      throw new JournalFolderError(problemOf(error), path, error);
    }
    return new JournalFolder(path, db);
  }

  /** Resolves when all of them are on disk. They are kept all or none. */
  async append(firstSequence: number, texts: readonly string[]): Promise<void> {
    const puts = texts.map((value, index) => ({ type: 'put' as const, key: toKey(firstSequence + index), value }));
    await this.#db.batch(puts, { sync: true });
  }

  /** The next records behind a sequence, in order; a few hundred at most, or as many as are asked for. */
  async read(after: number, recordsMax = READ_RECORDS_MAX): Promise<JournalRecord[]> {
    // From the place where reading ended, never from the start: deleted keys are walked over until LevelDB has compacted them away.
    const iterator = this.#db.iterator({ gt: toKey(after), lt: PROGRESS_KEY, highWaterMarkBytes: READ_BYTES_MAX });
    try {
      const entries = await iterator.nextv(recordsMax);
      return entries.map(([key, text]) => ({ sequence: Number(key), text }));
    } finally {
      await iterator.close();
    }
  }

  /** The sequence of the newest record, 0 where there is none. */
  async lastSequence(): Promise<number> {
    const [last] = await this.#db.keys({ lt: PROGRESS_KEY, reverse: true, limit: 1 }).all();
    return last === undefined ? 0 : Number(last);
  }

  /** Deletes all records from one sequence to another, both included. */
  async delete(from: number, to: number): Promise<void> {
    const count = to - from + 1;
    await this.#db.batch(Array.from({ length: count }, (_, index) => ({ type: 'del', key: toKey(from + index) })));
  }

  /** Gives the room of deleted records back to the disk, which LevelDB would do only while more is written. */
  async compact(from: number, to: number): Promise<void> {
    await this.#db.compactRange(toKey(from), toKey(to));
  }

  async readProgress(): Promise<Progress | undefined> {
    const text = await this.#db.get(PROGRESS_KEY);
    return text === undefined ? undefined : (JSON.parse(text) as Progress);
  }

  async writeProgress(progress: Progress): Promise<void> {
    await this.#db.put(PROGRESS_KEY, JSON.stringify(progress));
  }

  async close(): Promise<void> {
    await this.#db.close();
  }
}

/** Of fixed width, so that the order of the keys is the order of the numbers; all of them sort before the key of the progress. */
function toKey(sequence: number): string {
  return String(sequence).padStart(SEQUENCE_DIGITS, '0');
}

/** A folder that was just made survives a power cut only when the folder above it is on disk too. */
async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function problemOf(error: unknown): FolderProblem {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (errorCode(cause) === 'LEVEL_LOCKED') return 'held';
  const reason = reasonOf(cause);
  return /does not exist|No such file or directory|error_if_exists/.test(reason) ? 'missing' : 'failed';
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message : error.message;
}
