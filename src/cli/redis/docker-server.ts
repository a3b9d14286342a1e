import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { findFreePort } from '../free-port.js';
import { StartError } from '../../shared/start-error.js';
import { writeInstance } from './instance-file.js';
import { waitUntilReady } from './redis-probe.js';
import { DURABLE_SETTINGS, loopbackUrl, STOP_TIMEOUT_MS, type RedisServer } from './redis-server.js';
import { runCommand, type CommandResult } from './run-command.js';

const REDIS_IMAGE = 'redis:8-alpine';

export interface DockerStart {
  readonly docker: string;
  readonly dir: string;
  readonly port?: number | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
  readonly say: (line: string) => void;
}

/** Whether the engine behind the command line answers; a command without one is common. */
export async function dockerAnswers(docker: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  const args = ['version', '--format', '{{.Server.Version}}'];
  return (await runCommand(docker, args, { timeoutMs: 5000, env })).exitCode === 0;
}

/**
 * The container and its volume are named after the directory. Docker gives a name to one container at a time, and that is
 * what keeps a second server off the same files.
 */
export function containerName(dir: string): string {
  return `b24-events-redis-${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`;
}

/**
 * Starts the container of this directory, or takes over the one that an earlier run left.
 *
 * @throws {StartError} with what Docker said.
 */
export async function startDockerServer(start: DockerStart): Promise<RedisServer> {
  const name = containerName(start.dir);
  const runningPort = await publishedPort(start, name);
  const port = runningPort ?? start.port ?? (await findFreePort());
  if (runningPort === undefined) await runContainer(start, name, port);
  await writeInstance(start.dir, { kind: 'docker', port, container: name });
  try {
    await waitUntilReady({ port, signal: start.signal, failure: () => undefined });
  } catch (error) {
    const { output } = await run(start, ['logs', '--tail', '10', name]);
    await removeContainer(start, name, STOP_TIMEOUT_MS);
    if (start.signal?.aborted) throw error;
    throw new StartError(`the container ${name} does not answer on 127.0.0.1:${port}; the end of its log:\n${output}`);
  }
  return containerHandle(start, name, { port, isReused: runningPort !== undefined });
}

/** The port of the container, if it runs. */
async function publishedPort(start: DockerStart, name: string): Promise<number | undefined> {
  const { exitCode, output } = await run(start, ['port', name, '6379/tcp']);
  const port = /:(\d+)$/m.exec(output)?.[1];
  return exitCode === 0 && port !== undefined ? Number(port) : undefined;
}

async function runContainer(start: DockerStart, name: string, port: number): Promise<void> {
  await fetchImage(start);
  // One that ended keeps its name; the data are in the volume.
  await run(start, ['rm', '--volumes=false', name]);
  const settings = Object.entries(DURABLE_SETTINGS).flatMap(([key, value]) => [
    `--${key}`,
    value === '""' ? '' : value,
  ]);
  const args = ['run', '--detach', '--name', name, '--publish', `127.0.0.1:${port}:6379`, '--volume', `${name}:/data`];
  const result = await run(start, [...args, REDIS_IMAGE, 'redis-server', '--dir', '/data', ...settings]);
  if (result.exitCode === 0) return;
  // What was made before it failed, such as at a port that was taken, would stay.
  await removeContainer(start, name, 0);
  start.signal?.throwIfAborted();
  throw new StartError(`docker run did not start ${REDIS_IMAGE}: ${result.output}`);
}

const PULL_TIMEOUT_MS = 600_000;

async function fetchImage(start: DockerStart): Promise<void> {
  if ((await run(start, ['image', 'inspect', REDIS_IMAGE])).exitCode === 0) return;
  start.say(`fetching the Docker image ${REDIS_IMAGE}`);
  const pulled = await run(start, ['pull', '--quiet', REDIS_IMAGE], PULL_TIMEOUT_MS);
  start.signal?.throwIfAborted();
  if (pulled.exitCode !== 0) throw new StartError(`docker pull ${REDIS_IMAGE} failed: ${pulled.output}`);
}

function containerHandle(
  start: DockerStart,
  name: string,
  { port, isReused }: { readonly port: number; readonly isReused: boolean },
): RedisServer {
  const how = isReused ? 'left running by an earlier start' : REDIS_IMAGE;
  const source = `Docker, ${how}, container and volume ${name}`;
  const ending = new AbortController();
  const ended = watchForEnd(start, name, ending.signal);
  const stop: RedisServer['stop'] = async ({ timeoutMs = STOP_TIMEOUT_MS } = {}) => {
    ending.abort();
    await removeContainer(start, name, timeoutMs);
    await ended;
  };
  return { url: loopbackUrl(port), port, source, isReused, ended, stop };
}

/** Asks now and then; `docker wait` would not survive an engine that is restarted below its containers. */
async function watchForEnd(start: DockerStart, name: string, signal: AbortSignal): Promise<string> {
  while (!signal.aborted) {
    const { exitCode, output } = await run(start, ['inspect', '--format', '{{.State.Running}}', name]);
    if (exitCode === 0 && output === 'false') return `the container ${name} ended`;
    await sleep(2000, undefined, { ref: false, signal }).catch(() => undefined);
  }
  return 'stopped';
}

/** `docker stop` sends SIGTERM, on which Redis writes all it has, and kills after the time. */
async function removeContainer(start: DockerStart, name: string, timeoutMs: number): Promise<void> {
  const env = { timeoutMs: timeoutMs + 10_000, env: start.env };
  await runCommand(start.docker, ['stop', '--time', String(Math.ceil(timeoutMs / 1000)), name], env);
  await runCommand(start.docker, ['rm', '--volumes=false', name], env);
}

function run(start: DockerStart, args: readonly string[], timeoutMs = 60_000): Promise<CommandResult> {
  return runCommand(start.docker, args, { timeoutMs, env: start.env, signal: start.signal });
}
