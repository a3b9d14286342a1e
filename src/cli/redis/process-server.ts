import { spawn, type ChildProcess } from 'node:child_process';
import { open, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../free-port.js';
import { errorMessage } from '../../shared/caught-error.js';
import { StartError } from '../../shared/start-error.js';
import type { RunningServer } from './find-running.js';
import { writeInstance } from './instance-file.js';
import { isAlive, signalProcess } from './process-identity.js';
import { probeRedis, waitUntilReady } from './redis-probe.js';
import { DURABLE_SETTINGS, loopbackUrl, STOP_TIMEOUT_MS, type RedisServer } from './redis-server.js';
import { findOnPath } from './run-command.js';

/** Either speaks the same protocol, reads the same files at the same version, and takes the same settings. */
export async function findRedisBinary(searchPath: string): Promise<string | undefined> {
  return (await findOnPath('redis-server', searchPath)) ?? (await findOnPath('valkey-server', searchPath));
}

export interface ProcessStart {
  readonly binary: string;
  /** Absolute, and no other server may run on it. */
  readonly dir: string;
  /** A free one is taken where none is given. */
  readonly port?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const PORT_ATTEMPTS_MAX = 3;
const SELF_END_WITHIN_MS = 5000;

/**
 * Starts a server in a process group of its own, so that a Ctrl-C at the terminal does not reach it: it ends last.
 *
 * @throws {StartError} with the end of its log when it does not come up.
 */
export async function startProcessServer(start: ProcessStart): Promise<RedisServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = start.port ?? (await findFreePort());
    try {
      return await startOnPort(start, port);
    } catch (error) {
      // Between finding a free port and listening on it another program may take it.
      const isWorthAnother = start.port === undefined && attempt < PORT_ATTEMPTS_MAX;
      if (!isWorthAnother || !errorMessage(error).includes('Address already in use')) throw error;
    }
  }
}

async function startOnPort({ binary, dir, signal }: ProcessStart, port: number): Promise<RedisServer> {
  const instance = { kind: 'process', port, binary } as const;
  await writeFile(join(dir, 'redis.conf'), configuration(dir, port), { mode: 0o600 });
  // Written before there is a process, so that no kill in between leaves a server that nothing tells of.
  await writeInstance(dir, { ...instance, pid: null });
  const child = await spawnServer(binary, dir);
  const ended = endOf(child);
  let endReason: string | undefined;
  void ended.then((reason) => (endReason = reason));
  try {
    if (child.pid === undefined) throw new StartError(await ended);
    await writeInstance(dir, { ...instance, pid: child.pid });
    const pid = await waitUntilReady({ port, signal, failure: () => endReason });
    if (pid !== child.pid) {
      // Another server has the port; ours ends on its own account, and its log says so.
      await Promise.race([ended, sleep(SELF_END_WITHIN_MS, undefined, { ref: false })]);
      throw new StartError(`another Redis, of pid ${pid}, answers on port ${port}`);
    }
    const source = `${basename(binary)} from the PATH, pid ${pid}, files in ${dir}`;
    return processHandle({ pid, port, source, isReused: false, ended });
  } catch (error) {
    child.kill('SIGKILL');
    await ended;
    throw signal?.aborted ? error : await withLog(error, binary, dir);
  }
}

function configuration(dir: string, port: number): string {
  const settings = {
    bind: '127.0.0.1',
    port: String(port),
    dir: JSON.stringify(dir),
    pidfile: JSON.stringify(join(dir, 'redis.pid')),
    daemonize: 'no',
    ...DURABLE_SETTINGS,
  };
  return Object.entries(settings).reduce((text, [name, value]) => `${text}${name} ${value}\n`, '');
}

async function spawnServer(binary: string, dir: string): Promise<ChildProcess> {
  const logFile = join(dir, 'redis.log');
  await rename(logFile, `${logFile}.1`).catch(() => undefined);
  const log = await open(logFile, 'a', 0o600);
  try {
    const child = spawn(binary, [join(dir, 'redis.conf')], {
      cwd: dir,
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    await new Promise((resolve) => {
      child.once('spawn', resolve);
      child.once('error', resolve);
    });
    return child;
  } finally {
    await log.close();
  }
}

function endOf(child: ChildProcess): Promise<string> {
  if (child.pid === undefined) return Promise.resolve('it cannot be started');
  return new Promise((resolve) => {
    child.once('exit', (exitCode, signal) => resolve(signal ? `ended by ${signal}` : `ended with code ${exitCode}`));
  });
}

async function withLog(cause: unknown, binary: string, dir: string): Promise<StartError> {
  const logFile = join(dir, 'redis.log');
  const log = await readFile(logFile, 'utf8').catch(() => '');
  const end = log.trimEnd().split('\n').slice(-10).join('\n  ');
  return new StartError(`${binary} did not start: ${errorMessage(cause)}; the end of ${logFile}:\n  ${end}`);
}

/** Takes over a server that an earlier run left; it was checked to work on our files. */
export async function adoptProcessServer(
  { pid, port }: RunningServer,
  dir: string,
  signal?: AbortSignal,
): Promise<RedisServer> {
  const failure = (): string | undefined => (isAlive(pid) ? undefined : `the Redis of pid ${pid} ended just now`);
  await waitUntilReady({ port, signal, failure });
  const source = `left running by an earlier start, pid ${pid}, files in ${dir}`;
  return processHandle({ pid, port, source, isReused: true, ended: watchForEnd(pid) });
}

const WATCH_EVERY_MS = 250;

/** A process that is no child of ours tells nothing when it ends. The watch keeps no process alive. */
async function watchForEnd(pid: number): Promise<string> {
  while (isAlive(pid)) await sleep(WATCH_EVERY_MS, undefined, { ref: false });
  return 'ended';
}

interface ProcessHandle extends Omit<RedisServer, 'url' | 'stop'> {
  readonly pid: number;
}

function processHandle(handle: ProcessHandle): RedisServer {
  const { pid, port, source, isReused, ended } = handle;
  let hasEnded = false;
  void ended.then(() => (hasEnded = true));
  const stop: RedisServer['stop'] = async ({ timeoutMs = STOP_TIMEOUT_MS } = {}) => {
    if (hasEnded || (isReused && !(await isStill(pid, port)))) return;
    // Nothing else may be left to keep this process alive until the server is gone.
    const awake = setInterval(() => undefined, WATCH_EVERY_MS);
    signalProcess(pid, 'SIGTERM');
    await Promise.race([ended, sleep(timeoutMs, undefined, { ref: false })]);
    // Frozen, or stuck in a slow disk. What it confirmed is with the kernel already, which a kill does not undo.
    if (!hasEnded) signalProcess(pid, 'SIGKILL');
    await ended;
    clearInterval(awake);
  };
  return { url: loopbackUrl(port), port, source, isReused, ended, stop };
}

/** The pid of an adopted server may belong to another program by the time it is to be stopped. */
async function isStill(pid: number, port: number): Promise<boolean> {
  const probe = await probeRedis(port);
  if (probe.state === 'redis') return probe.pid === pid;
  return probe.state === 'silent' && isAlive(pid);
}
