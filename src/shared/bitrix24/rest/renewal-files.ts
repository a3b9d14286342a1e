import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { errorCode } from '../../caught-error.js';
import type { Sealer } from '../../sealer.js';
import { parseJson } from './rest-answer.js';

/**
 * The newest pair of tokens of each portal on this machine's own disk. A refresh token holds once, so a new pair that was lost
 * costs a portal until a person installs the app again; and Redis may lose its last second.
 */
export interface RenewalFiles {
  /** Makes room for a pair. Throws where the disk cannot take it, so that no pair is asked for that could not be kept. */
  prepare(memberId: string): Promise<Draft>;
  /** What is kept of one portal. */
  read(memberId: string): Promise<RenewalFile | undefined>;
  /** All that is kept; drafts of processes that died are removed on the way. */
  all(): AsyncIterable<RenewalFile>;
  remove(memberId: string): Promise<void>;
}

export interface Draft {
  /** Resolves when the pair will survive a power cut. */
  keep(pair: KeptPair): Promise<void>;
  /** Removes what was not kept. */
  discard(): Promise<void>;
}

export interface KeptPair {
  readonly memberId: string;
  readonly generation: number;
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly userId: number | null;
  readonly clientEndpoint: string | null;
  /** Of the record that was renewed. */
  readonly installedAtMs: number;
  /** The fingerprint of the refresh token that was used up for it. */
  readonly replaces: string;
}

export interface RenewalFile {
  readonly memberId: string;
  readonly generation: number;
  readonly writtenAtMs: number;
  /** undefined where it cannot be opened with the keys that this process has. */
  readonly pair: KeptPair | undefined;
}

/** What stands in a file; the rest of the pair is sealed. */
const FILE_RECORD = z.object({ v: z.literal(1), memberId: z.string(), generation: z.number(), seal: z.string() });

type FileRecord = Readonly<z.infer<typeof FILE_RECORD>>;

/** Written beforehand, so that the room is there when the pair comes. */
const ROOM_BYTES = 16_384;
const DRAFT_MS_MAX = 3_600_000;

export function createRenewalFiles(dataDir: string, sealer: Sealer, now: () => number): RenewalFiles {
  const folder = join(dataDir, 'renewals');
  return {
    async prepare(memberId) {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const path = pathOf(memberId);
      const draftPath = `${path}.${process.pid}.${randomBytes(4).toString('hex')}.draft`;
      const file = await open(draftPath, 'wx', 0o600);
      const draft = new OpenDraft({ file, folder, path, draftPath, sealer });
      try {
        await draft.makeRoom();
      } catch (error) {
        await draft.discard();
        throw error;
      }
      return draft;
    },
    read: (memberId) => readPair(pathOf(memberId), sealer),
    async *all() {
      for (const name of await namesIn(folder)) {
        const path = join(folder, name);
        if (name.endsWith('.json')) {
          const file = await readPair(path, sealer);
          if (file) yield file;
        } else if (now() - (await writtenAtMs(path)) > DRAFT_MS_MAX) await rm(path, { force: true });
      }
    },
    async remove(memberId) {
      await rm(pathOf(memberId), { force: true });
    },
  };

  function pathOf(memberId: string): string {
    return join(folder, `${fingerprint(memberId)}.json`);
  }
}

/** Of an id or a token, by which it is found again and not told. */
export function fingerprint(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32);
}

interface OpenDraftDeps {
  readonly file: FileHandle;
  readonly folder: string;
  readonly path: string;
  readonly draftPath: string;
  readonly sealer: Sealer;
}

class OpenDraft implements Draft {
  readonly #deps: OpenDraftDeps;
  #isClosed = false;

  constructor(deps: OpenDraftDeps) {
    this.#deps = deps;
  }

  async makeRoom(): Promise<void> {
    await this.#deps.file.write(Buffer.alloc(ROOM_BYTES, ' '), 0, ROOM_BYTES, 0);
    await this.#deps.file.sync();
  }

  async keep(pair: KeptPair): Promise<void> {
    const { file, draftPath, path, folder, sealer } = this.#deps;
    const { memberId, generation } = pair;
    const seal = sealer.seal(JSON.stringify(pair), contextOf(memberId, generation));
    const record: FileRecord = { v: 1, memberId, generation, seal };
    const bytes = Buffer.from(JSON.stringify(record), 'utf8');
    await file.write(bytes, 0, bytes.length, 0);
    await file.truncate(bytes.length);
    await file.sync();
    await this.#close();
    await rename(draftPath, path);
    await syncFolder(folder);
  }

  async discard(): Promise<void> {
    await this.#close();
    await rm(this.#deps.draftPath, { force: true });
  }

  async #close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#deps.file.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readPair(path: string, sealer: Sealer): Promise<RenewalFile | undefined> {
  const [text, atMs] = await Promise.all([readText(path), writtenAtMs(path)]);
  const record = FILE_RECORD.safeParse(parseJson(text ?? '')).data;
  if (!record) return undefined;
  const { memberId, generation, seal } = record;
  const opened = sealer.open(seal, contextOf(memberId, generation));
  const pair = opened.status === 'opened' ? (JSON.parse(opened.plain) as KeptPair) : undefined;
  return { memberId, generation, writtenAtMs: atMs, pair };
}

/** Other processes of this machine remove files, too: one that is gone is no failure. */
async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function writtenAtMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return Infinity;
    throw error;
  }
}

async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

function contextOf(memberId: string, generation: number): string {
  return JSON.stringify(['renewal', memberId, generation]);
}
