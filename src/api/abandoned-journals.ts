import { readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage } from '../shared/caught-error.js';
import type { Logger } from '../shared/logger.js';
import type { RecordSource } from './journal.js';
import { JournalFolder, JournalFolderError } from './journal-folder.js';

export interface AbandonedJournalsDeps {
  readonly dir: string;
  readonly logger: Logger;
  /** Folders that this process has open or is opening; see {@link JournalFolder} for why none may be opened twice. */
  readonly opened: Set<string>;
  readonly emptyAgeMs?: number;
}

const GONE = '.gone';
/** A folder without a journal in it may be one that a neighbour is just making. */
const EMPTY_AGE_MS = 60_000;

/**
 * Journals of processes that are gone, taken over.
 *
 * A folder is *free* when the operating system gives its lock to whoever asks: its process ended, or is just opening it anew
 * after a failed write. Whoever gets the lock *has adopted* it, drains it, and removes it when nothing of it can be needed
 * again. To remove it, the folder is renamed to `.gone` first, then closed, then deleted. In that order no two processes can
 * ever hold one journal: while the name stands the lock is held, and when the lock is free the name is gone, so one who waited
 * for the lock finds no journal under the name, whatever files it had opened. A `.gone` folder may be deleted by anyone.
 */
export class AbandonedJournals {
  readonly #deps: AbandonedJournalsDeps;
  readonly #adopted = new Map<string, { readonly folder: JournalFolder; readonly source: RecordSource }>();
  readonly #broken = new Set<string>();
  #sources: readonly RecordSource[] = [];

  constructor(deps: AbandonedJournalsDeps) {
    this.#deps = deps;
  }

  /** Those that are adopted, oldest first. */
  get sources(): readonly RecordSource[] {
    return this.#sources;
  }

  /** Takes over every folder that is free, and clears away what others left half removed. */
  async adoptAll(): Promise<void> {
    const entries = await readdir(this.#deps.dir, { withFileTypes: true });
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(this.#deps.dir, entry.name);
      if (!entry.isDirectory()) continue;
      if (entry.name.endsWith(GONE)) await rm(path, { recursive: true, force: true }).catch(() => undefined);
      else if (!this.#deps.opened.has(path)) await this.#adopt(path);
    }
    this.#listSources();
  }

  /** For a journal of which no record can be needed again. */
  async remove(source: RecordSource): Promise<void> {
    const adopted = this.#adopted.get(source.id);
    if (!adopted) return;
    await rename(source.id, source.id + GONE);
    this.#adopted.delete(source.id);
    this.#listSources();
    await adopted.folder.close();
    this.#deps.opened.delete(source.id);
    await rm(source.id + GONE, { recursive: true, force: true });
    this.#deps.logger.info({ event: 'journal.removed', journal: source.id }, 'an adopted journal is done');
  }

  async close(): Promise<void> {
    await Promise.all([...this.#adopted.values()].map(({ folder }) => folder.close().catch(() => undefined)));
    this.#adopted.clear();
    this.#listSources();
  }

  async #adopt(path: string): Promise<void> {
    const kind = await this.#kindOf(path);
    if (kind === 'unknown' || this.#deps.opened.has(path)) return;
    this.#deps.opened.add(path);
    try {
      const folder = await JournalFolder.open(path, { create: kind === 'empty' });
      this.#adopted.set(path, { folder, source: sourceOf(folder, await folder.lastSequence()) });
      this.#broken.delete(path);
      this.#deps.logger.info(
        { event: 'journal.adopted', journal: path },
        'took over a journal that an earlier process left',
      );
    } catch (error) {
      this.#deps.opened.delete(path);
      this.#report(path, error);
    }
  }

  /** An empty one is made a journal, which gives us its lock, and so can be removed in safety. */
  async #kindOf(path: string): Promise<'journal' | 'empty' | 'unknown'> {
    if (await stat(join(path, 'CURRENT')).catch(() => undefined)) return 'journal';
    const folder = await stat(path).catch(() => undefined);
    const isOld = folder && Date.now() - folder.mtimeMs > (this.#deps.emptyAgeMs ?? EMPTY_AGE_MS);
    return isOld ? 'empty' : 'unknown';
  }

  #report(path: string, error: unknown): void {
    if (error instanceof JournalFolderError && error.problem !== 'failed') return;
    if (this.#broken.has(path)) return;
    this.#broken.add(path);
    const reason = errorMessage(error);
    this.#deps.logger.error(
      { event: 'journal.unreadable', journal: path, reason },
      'a journal that was left cannot be opened; trying again until it can',
    );
  }

  #listSources(): void {
    const byAge = [...this.#adopted.values()].toSorted((a, b) => (a.source.id < b.source.id ? -1 : 1));
    this.#sources = byAge.map(({ source }) => source);
  }
}

/** Nothing is deleted from it: it is removed as a whole. */
function sourceOf(folder: JournalFolder, lastSequence: number): RecordSource {
  return {
    id: folder.path,
    lastSequence,
    read: (after, recordsMax) => folder.read(after, recordsMax),
    readProgress: () => folder.readProgress(),
    writeProgress: (progress) => folder.writeProgress(progress),
    purge: () => Promise.resolve(),
  };
}
