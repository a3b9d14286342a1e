import { readdir, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode, errorMessage } from '../shared/caught-error.js';
import type { Logger } from '../shared/logger.js';

export interface DiskGuardDeps {
  /** The folder of the journals, of all processes together. */
  readonly dir: string;
  readonly freeBytesMin: number;
  readonly bytesMax: number;
  readonly logger: Logger;
}

const CHECK_EVERY_MS = 1000;
/** A check of very many files may take long; it may fill this share of the time. */
const TIME_SHARE_MAX = 1 / 20;

/**
 * Stops the journal while the disk still has room: to delete, to open the journal anew, and for Redis, whose file is often on
 * the same disk.
 */
export class DiskGuard {
  readonly #deps: DiskGuardDeps;
  #look: DiskState = { problem: undefined, freeBytes: 0, journalBytes: 0 };
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  private constructor(deps: DiskGuardDeps) {
    this.#deps = deps;
  }

  /** Checks once before it answers. */
  static async start(deps: DiskGuardDeps): Promise<DiskGuard> {
    const guard = new DiskGuard(deps);
    await guard.#checkAndRepeat();
    return guard;
  }

  /** Why nothing may be written now. */
  get problem(): string | undefined {
    return this.#look.problem;
  }

  /** What this user may still fill. */
  get freeBytes(): number {
    return this.#look.freeBytes;
  }

  get journalBytes(): number {
    return this.#look.journalBytes;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #checkAndRepeat(): Promise<void> {
    const startedMs = performance.now();
    const look = await lookAtDisk(this.#deps);
    this.#tell(look.problem);
    this.#look = { ...this.#look, ...look };
    if (this.#isStopped) return;
    const pauseMs = Math.max(CHECK_EVERY_MS, (performance.now() - startedMs) / TIME_SHARE_MAX);
    this.#timer = setTimeout(() => void this.#checkAndRepeat(), pauseMs);
    this.#timer.unref();
  }

  #tell(problem: string | undefined): void {
    const { logger } = this.#deps;
    const before = this.#look.problem;
    if (problem !== undefined && before === undefined)
      logger.error({ event: 'storage.stopped', reason: problem }, 'events are turned away until the disk has room');
    if (problem === undefined && before !== undefined)
      logger.info({ event: 'storage.resumed' }, 'the disk has room again');
  }
}

interface DiskState {
  readonly problem: string | undefined;
  readonly freeBytes: number;
  readonly journalBytes: number;
}

/** What cannot be looked at is not in the answer. */
async function lookAtDisk(deps: DiskGuardDeps): Promise<Pick<DiskState, 'problem'> & Partial<DiskState>> {
  try {
    const disk = await statfs(deps.dir);
    const freeBytes = disk.bavail * disk.bsize;
    const journalBytes = await folderBytes(deps.dir);
    return { problem: problemIn(deps, freeBytes, journalBytes), freeBytes, journalBytes };
  } catch (error) {
    return { problem: `the disk cannot be looked at: ${errorMessage(error)}` };
  }
}

function problemIn(
  { freeBytesMin, bytesMax }: DiskGuardDeps,
  freeBytes: number,
  journalBytes: number,
): string | undefined {
  if (freeBytes < freeBytesMin) return `DISK_FREE_BYTES_MIN: ${freeBytes} bytes are free`;
  return journalBytes > bytesMax ? `JOURNAL_BYTES_MAX: the journals take ${journalBytes} bytes` : undefined;
}

/** Of all files below it; what vanishes meanwhile counts as nothing. */
async function folderBytes(dir: string): Promise<number> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(nothingWhereGone([]));
  const sizes = await Promise.all(
    entries.map((entry) => {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return folderBytes(path);
      return stat(path)
        .then((file) => file.size)
        .catch(nothingWhereGone(0));
    }),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function nothingWhereGone<Nothing>(nothing: Nothing): (error: unknown) => Nothing {
  return (error) => {
    if (errorCode(error) === 'ENOENT') return nothing;
    throw error;
  };
}
