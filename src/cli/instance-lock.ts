import { mkdir, readFile, realpath, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClassicLevel } from 'classic-level';
import { errorCode, errorMessage } from '../shared/caught-error.js';
import { StartError } from '../shared/start-error.js';

/** Proof that this process alone starts things on a data directory. */
export interface InstanceLock {
  /** Absolute, symbolic links resolved: two ways to write one directory are one directory. */
  readonly dataDir: string;
  /** The process that held the lock before and did not get to give it back: it was killed, or the machine went down. */
  readonly killedPid: number | undefined;
  release(): Promise<void>;
}

/**
 * Takes the one lock of a data directory, which is made if it is not there.
 *
 * The lock must end with its process, kill -9 included, and a pid in a file does not: the pid may since belong to another
 * program, and between looking and writing two can pass. An open LevelDB database holds a lock of the operating system
 * (fcntl) on its folder, which the kernel drops with the process, on Linux and macOS alike. Node itself offers no such
 * lock, and the journal needs that package anyway; so the lock is a database in which nothing is ever written. The pid
 * beside it serves the message only.
 *
 * @throws {StartError} when another process holds it.
 */
export async function takeInstanceLock(directory: string): Promise<InstanceLock> {
  const dataDir = await prepareDirectory(directory);
  const folder = join(dataDir, 'launcher.lock');
  const ownerFile = join(folder, 'owner.pid');
  const database = new ClassicLevel(folder);
  try {
    await database.open();
  } catch (error) {
    throw refusal(error, { dataDir, folder, ownerPid: await readPid(ownerFile) });
  }
  const killedPid = await readPid(ownerFile);
  await writeFile(ownerFile, `${process.pid}\n`);
  return {
    dataDir,
    killedPid,
    release: async () => {
      if (database.status !== 'open') return;
      await rm(ownerFile, { force: true });
      await database.close();
    },
  };
}

async function prepareDirectory(directory: string): Promise<string> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await realpath(directory);
  } catch (error) {
    throw new StartError(
      `DATA_DIR: expected a directory that this user may write, got ${directory} (${errorCode(error)})`,
    );
  }
}

async function readPid(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  return /^\d{1,10}\n?$/.test(text) ? Number(text) : undefined;
}

interface Refused {
  readonly dataDir: string;
  readonly folder: string;
  readonly ownerPid: number | undefined;
}

function refusal(error: unknown, { dataDir, folder, ownerPid }: Refused): StartError {
  const cause = typeof error === 'object' && error !== null && 'cause' in error ? error.cause : undefined;
  if (errorCode(cause) !== 'LEVEL_LOCKED') {
    return new StartError(
      `the lock in ${folder} cannot be taken: ${errorMessage(cause ?? error)}; it holds no data, so if nothing else runs on this DATA_DIR, delete that folder`,
    );
  }
  const owner = ownerPid === undefined ? 'another process' : `process ${ownerPid}`;
  return new StartError(
    `${owner} already runs on ${dataDir}: stop it first, or give this one a DATA_DIR and an API_PORT of its own`,
  );
}
