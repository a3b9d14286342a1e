import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/caught-error.js';
import { ok, unseenFromContainer, warn, type Finding } from './finding.js';

/**
 * How many journals there are, and how many of them nobody holds. Opening one would take its lock, and keep an ingress from it; so
 * the locks are looked up where Linux lists them.
 */
export async function lookAtJournals(dir: string, isInContainer: boolean): Promise<Finding> {
  const folders = await foldersIn(dir);
  const held = await heldInodes();
  const count = `${folders.length} journal${folders.length === 1 ? '' : 's'}`;
  if (held === undefined) return ok('journals', count);
  const inodes = await Promise.all(folders.map((folder) => inodeOf(join(dir, folder, 'LOCK'))));
  const left = inodes.filter((inode) => inode === undefined || !held.has(inode)).length;
  if (left === 0) return ok('journals', `${count}, all held by processes`);
  if (isInContainer) return unseenFromContainer('journals');
  return warn(
    'journals',
    `${left} of ${count} held by no process that is seen from here`,
    'an ingress on this DATA_DIR takes over what was left; start one, if none runs',
  );
}

/** What is renamed to `.gone` is being removed. */
async function foldersIn(dir: string): Promise<readonly string[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory() && !entry.name.endsWith('.gone')).map(({ name }) => name);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Of files on which somebody holds a lock (proc_locks(5)); undefined where the system does not tell. */
async function heldInodes(): Promise<ReadonlySet<string> | undefined> {
  const text = await readFile('/proc/locks', 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  return new Set([...text.matchAll(/ [0-9a-f]+:[0-9a-f]+:(\d+) /g)].map(([, inode = '']) => inode));
}

async function inodeOf(path: string): Promise<string | undefined> {
  const file = await stat(path).catch(() => undefined);
  return file && String(file.ino);
}
