import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartError } from '../../shared/start-error.js';
import { readInstance } from './instance-file.js';
import { commandOf, isAlive, isProcessId, looksLikeRedis } from './process-identity.js';
import { probeRedis, type Probe } from './redis-probe.js';

/**
 * Is there a server on these files already? Two on one append-only file lose writes that were confirmed, so a second one
 * is started only when it is certain that there is none.
 *
 * Three records tell of a server that a killed run left behind: our instance file, the configuration that the server was
 * started with (its port), and the pid file that it writes itself. None is proof, because a pid or a port may belong to
 * another program by now. Proof is the server's own word: it answers and names our directory as its own. Without that
 * word, a process that lives under a recorded pid and looks like a Redis may be ours, just starting, just ending or
 * frozen; it is given some time, then we refuse.
 */
export interface RunningServer {
  readonly pid: number;
  readonly port: number;
}

export interface Search {
  /** Absolute, symbolic links resolved. */
  readonly dir: string;
  readonly signal?: AbortSignal | undefined;
  /** How long an unclear state may take to clear up. */
  readonly patienceMs?: number;
}

/** A process that may be a server on these files, and does not answer. The message is for whoever wants to start one there. */
export class SilentServerError extends StartError {
  constructor(
    dir: string,
    readonly pid: number,
    /** In words. */
    readonly where: string,
  ) {
    super(
      `process ${pid} (${where}) may be a Redis that an earlier run left on ${dir}, and it does not answer; a second one on the same files would lose data: end it (kill ${pid}, or kill -9 ${pid}) and start again`,
    );
    this.name = 'SilentServerError';
  }
}

/** @throws {SilentServerError} when it cannot be told whether a server runs on these files. */
export async function findRunning(search: Search): Promise<RunningServer | undefined> {
  const deadlineMs = Date.now() + (search.patienceMs ?? 10_000);
  const startedByMs = Date.now() + STARTED_WITHIN_MS;
  for (;;) {
    search.signal?.throwIfAborted();
    const finding = await look(search.dir);
    if (finding.state === 'none') return undefined;
    if (finding.state === 'running') return finding;
    if (finding.state === 'starting' && Date.now() > startedByMs) return undefined;
    if (finding.state === 'unclear' && Date.now() > deadlineMs) throw unclear(search.dir, finding);
    await sleep(200);
  }
}

/** A server listens some milliseconds after it was spawned; this allows for a very busy machine. */
const STARTED_WITHIN_MS = 3000;

type Finding =
  | { readonly state: 'none' }
  /** The run before was killed within the few milliseconds in which it spawned a server, or just before. */
  | { readonly state: 'starting' }
  | ({ readonly state: 'running' } & RunningServer)
  | { readonly state: 'unclear'; readonly pid: number; readonly ports: readonly number[] };

async function look(dir: string): Promise<Finding> {
  const suspects = await findSuspects(dir);
  const ports = [...new Set([...(await recordedPorts(dir)), ...suspects.flatMap((suspect) => suspect.ports)])];
  const probes: Probe[] = [];
  for (const port of ports) {
    const probe = await probeRedis(port);
    if (probe.state === 'redis' && probe.dir === dir && isProcessId(probe.pid))
      return { state: 'running', pid: probe.pid, port };
    probes.push(probe);
  }
  // A suspect that said itself that it works on another directory only inherited the pid.
  const cleared = new Set(probes.map((probe) => (probe.state === 'redis' ? probe.pid : undefined)));
  const suspect = suspects.find(({ pid }) => !cleared.has(pid));
  if (suspect) return { state: 'unclear', pid: suspect.pid, ports };
  const instance = await readInstance(dir);
  return { state: instance?.kind === 'process' && instance.pid === null ? 'starting' : 'none' };
}

interface Suspect {
  readonly pid: number;
  /** A running server shows its address in the list of processes: `redis-server 127.0.0.1:41877`. */
  readonly ports: readonly number[];
}

async function findSuspects(dir: string): Promise<Suspect[]> {
  const suspects: Suspect[] = [];
  for (const pid of await recordedPids(dir)) {
    if (!isAlive(pid)) continue;
    const command = await commandOf(pid);
    if (command !== undefined && !looksLikeRedis(command)) continue;
    const port = /\S:(\d{1,5})\b/.exec(command ?? '')?.[1];
    suspects.push({ pid, ports: port === undefined ? [] : [Number(port)] });
  }
  return suspects;
}

async function recordedPids(dir: string): Promise<ReadonlySet<number>> {
  const instance = await readInstance(dir);
  const pidFile = await readFile(join(dir, 'redis.pid'), 'utf8').catch(() => '');
  const candidates = [instance?.kind === 'process' ? instance.pid : null, Number(pidFile.trim() || Number.NaN)];
  return new Set(candidates.filter((pid) => pid !== null).filter(isProcessId));
}

async function recordedPorts(dir: string): Promise<readonly number[]> {
  const instance = await readInstance(dir);
  const config = await readFile(join(dir, 'redis.conf'), 'utf8').catch(() => '');
  const configured = Number(/^port (\d{1,5})$/m.exec(config)?.[1] ?? Number.NaN);
  const candidates = [instance?.kind === 'process' ? instance.port : Number.NaN, configured];
  return candidates.filter((port) => Number.isSafeInteger(port) && port > 0 && port < 65_536);
}

function unclear(dir: string, { pid, ports }: Finding & { readonly state: 'unclear' }): SilentServerError {
  return new SilentServerError(dir, pid, ports.length > 0 ? `port ${ports.join(' or ')}` : 'a port that is not known');
}
