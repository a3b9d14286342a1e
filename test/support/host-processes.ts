import { readFile, readdir } from 'node:fs/promises';

/** The handler hosts of that folder that are alive; by what `/proc` tells, so that orphans are found too. */
export async function hostsOf(dir: string): Promise<readonly number[]> {
  const pids = (await readdir('/proc')).map(Number).filter(Number.isInteger);
  const found = await Promise.all(pids.map(async (pid) => ((await isHostOf(pid, dir)) ? [pid] : [])));
  return found.flat();
}

async function isHostOf(pid: number, dir: string): Promise<boolean> {
  // It may end while it is looked at; a zombie has no command line.
  const commandLine = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
  const [, ...args] = commandLine.split('\0');
  return args.some((arg) => arg.endsWith('handler-host.js')) && args.includes(dir);
}
