import { readFile } from 'node:fs/promises';
import { errorCode } from '../../shared/caught-error.js';
import { runCommand } from './run-command.js';

/**
 * To the system, 0 and negative numbers are no processes: 0 is our own group, and -1 is every process there is. A number
 * that came from a file or from another program must never be taken for one of those; 1 is the system's own.
 */
export function isProcessId(pid: number): boolean {
  return Number.isSafeInteger(pid) && pid > 1;
}

/** Sends to this one process, and never to more; one that is gone by now is well. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  if (!isProcessId(pid)) throw new RangeError(`expected the id of one process, got ${pid}`);
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (errorCode(error) !== 'ESRCH') throw error;
  }
}

export function isAlive(pid: number): boolean {
  if (!isProcessId(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there, and belongs to another user.
    return errorCode(error) === 'EPERM';
  }
}

/**
 * The command line of a process, to tell a Redis from a program that got its pid later. Empty for one that ended and
 * waits to be reaped; undefined when the system does not tell.
 */
export async function commandOf(pid: number): Promise<string | undefined> {
  if (process.platform === 'linux') {
    const raw = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => undefined);
    return raw?.replaceAll('\0', ' ').trim();
  }
  const { exitCode, output } = await runCommand('ps', ['-p', String(pid), '-o', 'stat=,command='], { timeoutMs: 5000 });
  if (exitCode !== 0) return undefined;
  return output.startsWith('Z') ? '' : output.replace(/^\S+\s+/, '');
}

export function looksLikeRedis(command: string): boolean {
  return /\b(redis|valkey)-server\b/.test(command);
}
