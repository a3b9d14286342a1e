import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../shared/logger.js';
import { AbandonedJournals } from './abandoned-journals.js';
import { DiskGuard } from './disk-guard.js';
import { Journal, StorageError, type RecordSource } from './journal.js';
import { Signal } from './signal.js';

export interface JournalsDeps {
  readonly dataDir: string;
  readonly diskFreeBytesMin: number;
  readonly journalBytesMax: number;
  readonly logger: Logger;
  readonly adoptEveryMs?: number;
  readonly emptyAgeMs?: number;
}

const ADOPT_EVERY_MS = 10_000;

/**
 * All journals that this process holds: the one it writes, and those it took over. Only one such object may work on a folder
 * in one process; see {@link JournalFolder}.
 */
export class Journals {
  readonly #own: Journal;
  readonly #abandoned: AbandonedJournals;
  readonly #disk: DiskGuard;
  readonly #news: Signal;
  readonly #timer: NodeJS.Timeout;
  #adopting: Promise<void> = Promise.resolve();

  private constructor(
    parts: { own: Journal; abandoned: AbandonedJournals; disk: DiskGuard; news: Signal },
    everyMs: number,
  ) {
    this.#own = parts.own;
    this.#abandoned = parts.abandoned;
    this.#disk = parts.disk;
    this.#news = parts.news;
    this.#timer = setInterval(() => {
      this.#adopting = this.#adopt();
    }, everyMs);
    this.#timer.unref();
  }

  /** Adopts what was left before it answers, so that it is drained before the first new record. */
  static async open(deps: JournalsDeps): Promise<Journals> {
    const { logger } = deps;
    const dir = join(deps.dataDir, 'journal');
    await mkdir(dir, { recursive: true });
    const news = new Signal();
    const opened = new Set<string>();
    const own = await Journal.open({ dir, opened, logger, onAppended: () => news.set() });
    const emptyAge = deps.emptyAgeMs === undefined ? {} : { emptyAgeMs: deps.emptyAgeMs };
    const abandoned = new AbandonedJournals({ dir, opened, logger, ...emptyAge });
    await abandoned.adoptAll();
    const { diskFreeBytesMin: freeBytesMin, journalBytesMax: bytesMax } = deps;
    const disk = await DiskGuard.start({ dir, freeBytesMin, bytesMax, logger });
    return new Journals({ own, abandoned, disk, news }, deps.adoptEveryMs ?? ADOPT_EVERY_MS);
  }

  /** Where the drain finds records, in the order in which they must go: what is older first. */
  get sources(): readonly RecordSource[] {
    const own = this.#own.source;
    return own ? [...this.#abandoned.sources, own] : this.#abandoned.sources;
  }

  /** Why no record can be kept now. */
  get problem(): string | undefined {
    return this.#disk.problem ?? this.#own.problem;
  }

  get disk(): Pick<DiskGuard, 'freeBytes' | 'journalBytes'> {
    return this.#disk;
  }

  /**
   * Resolves when the record is on disk.
   *
   * @throws {StorageError} when it may not be.
   */
  async append(text: string): Promise<void> {
    if (this.#disk.problem !== undefined) throw new StorageError(this.#disk.problem);
    await this.#own.append(text);
  }

  /** Until there are new records, or the time is over. */
  async waitForRecords(timeoutMs: number): Promise<void> {
    await this.#news.wait(timeoutMs);
  }

  /** Ends a wait at once. */
  wake(): void {
    this.#news.set();
  }

  /** For an adopted journal of which no record can be needed again. */
  async remove(source: RecordSource): Promise<void> {
    await this.#abandoned.remove(source);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#disk.stop();
    await this.#adopting;
    await this.#own.close();
    await this.#abandoned.close();
  }

  async #adopt(): Promise<void> {
    const before = this.#abandoned.sources.length;
    // A disk that fails is told of where it matters, by the journal that is written.
    await this.#abandoned.adoptAll().catch(() => undefined);
    if (this.#abandoned.sources.length > before) this.#news.set();
  }
}
