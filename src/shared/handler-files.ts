import { readdir } from 'node:fs/promises';

const MODULE = /\.m?[jt]s$/;
const LEFT_OUT = /^[._]|\.d\.m?ts$|\.test\.m?[jt]s$/;

/** The names of the modules of a folder that are loaded as handlers, in their order. Throws where the folder cannot be read. */
export async function listHandlerFiles(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  return names.filter((name) => MODULE.test(name) && !LEFT_OUT.test(name)).toSorted();
}
