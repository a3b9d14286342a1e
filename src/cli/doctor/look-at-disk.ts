import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import { fail, ok, warn, type Finding } from './finding.js';
import { megabytes } from './megabytes.js';
import type { Look } from './look.js';
import { lookAtJournals } from './look-at-journals.js';

type DiskConfig = Pick<Config, 'dataDir' | 'diskFreeBytesMin' | 'journalBytesMax'>;

const ADVICE = 'make DATA_DIR a directory that the processes may write';

/** Of DATA_DIR, on whose disk the journal is. */
export async function diskLooks(config: DiskConfig, isInContainer: boolean): Promise<readonly Look[]> {
  const { dataDir } = config;
  const problem = await directoryProblem(dataDir);
  if (problem) return [{ name: 'directory', advice: ADVICE, look: async () => problem }];
  return [
    { name: 'directory', advice: ADVICE, look: async () => ok('directory', dataDir) },
    { name: 'free', advice: ADVICE, look: () => lookAtFree(config) },
    { name: 'kind', advice: ADVICE, look: () => lookAtKind(dataDir) },
    { name: 'fsync', advice: ADVICE, look: () => lookAtFsync(dataDir) },
    { name: 'journals', advice: ADVICE, look: () => lookAtJournals(join(dataDir, 'journal'), isInContainer) },
  ];
}

async function directoryProblem(dataDir: string): Promise<Finding | undefined> {
  try {
    if ((await stat(dataDir)).isDirectory()) return undefined;
    return fail('directory', `${dataDir} is no directory`, ADVICE);
  } catch (error) {
    if (errorCode(error) === 'ENOENT')
      return warn(
        'directory',
        `${dataDir} is not there`,
        'the first process makes it; where some run already, set DATA_DIR to theirs',
      );
    return fail('directory', `${dataDir} cannot be looked at: ${errorCode(error) ?? 'unknown'}`, ADVICE);
  }
}

async function lookAtFree({ dataDir, diskFreeBytesMin, journalBytesMax }: DiskConfig): Promise<Finding> {
  const disk = await statfs(dataDir);
  const freeBytes = disk.bavail * disk.bsize;
  const found = `${megabytes(freeBytes)} free`;
  if (freeBytes < diskFreeBytesMin)
    return fail(
      'free',
      `${found}, less than DISK_FREE_BYTES_MIN (${megabytes(diskFreeBytesMin)}): events are turned away`,
      'make room, or take a larger disk',
    );
  if (freeBytes < diskFreeBytesMin + journalBytesMax)
    return warn(
      'free',
      `${found}, too little for a journal of JOURNAL_BYTES_MAX (${megabytes(journalBytesMax)})`,
      'take a larger disk, or know that events are turned away earlier while Redis is down',
    );
  return ok('free', found);
}

/** By the magic numbers of Linux (statfs(2)); other systems give others, and are told nothing. */
const KINDS: ReadonlyMap<number, Finding> = new Map([
  [0x01021994, inMemory('tmpfs')],
  [0x858458f6, inMemory('ramfs')],
  [0x6969, remote('NFS')],
  [0xff534d42, remote('CIFS')],
  [0xfe534d42, remote('SMB')],
  [
    0x794c7630,
    warn('kind', 'overlayfs: the layer of a container, which goes with the container', 'put DATA_DIR on a volume'),
  ],
]);

async function lookAtKind(dataDir: string): Promise<Finding> {
  const { type } = await statfs(dataDir);
  return KINDS.get(type) ?? ok('kind', 'a disk of this machine');
}

function inMemory(kind: string): Finding {
  return fail('kind', `${kind}: the journal would not survive a restart of the machine`, 'put DATA_DIR on a disk');
}

function remote(kind: string): Finding {
  return warn(
    'kind',
    `${kind}: locks and fsync over a network are not to be trusted`,
    'put DATA_DIR on a disk of this machine',
  );
}

const FSYNC_ROUNDS = 20;
const FSYNC_BYTES = 4096;
/** Within the time of a look; a slow disk gets fewer rounds. */
const FSYNC_WITHIN_MS = 2000;
const FSYNC_MS = { warn: 20, fail: 200 } as const;

async function lookAtFsync(dataDir: string): Promise<Finding> {
  const path = join(dataDir, `doctor-${randomBytes(8).toString('hex')}.probe`);
  let medianMs: number;
  try {
    medianMs = await measureFsync(path);
  } catch (error) {
    return fail('fsync', `a file cannot be written: ${errorCode(error) ?? 'unknown'}`, ADVICE);
  } finally {
    await rm(path, { force: true });
  }
  const found = `${medianMs.toFixed(1)} ms for 4 KiB`;
  const advice = 'take a faster disk: no event is answered before it is on it';
  if (medianMs > FSYNC_MS.fail) return fail('fsync', found, advice);
  return medianMs > FSYNC_MS.warn ? warn('fsync', found, advice) : ok('fsync', found);
}

/** The median. */
async function measureFsync(path: string): Promise<number> {
  const file = await open(path, 'wx', 0o600);
  try {
    const took: number[] = [];
    const endsAtMs = performance.now() + FSYNC_WITHIN_MS;
    while (took.length < FSYNC_ROUNDS && performance.now() < endsAtMs) {
      const startedMs = performance.now();
      await file.write(Buffer.alloc(FSYNC_BYTES, 'b'));
      await file.sync();
      took.push(performance.now() - startedMs);
    }
    return took.toSorted((a, b) => a - b)[Math.floor(took.length / 2)] ?? 0;
  } finally {
    await file.close();
  }
}
