import { mkdir, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { InstanceLock } from '../instance-lock.js';
import { errorMessage } from '../../shared/caught-error.js';
import { StartError } from '../../shared/start-error.js';
import { containerName, dockerAnswers, startDockerServer } from './docker-server.js';
import { findRunning } from './find-running.js';
import { readInstance } from './instance-file.js';
import { installRedisPackage } from './package-manager.js';
import { adoptProcessServer, findRedisBinary, startProcessServer } from './process-server.js';
import type { RedisServer } from './redis-server.js';
import { findOnPath } from './run-command.js';

export interface RedisProvision {
  /** Whoever has no lock must not start a server: two starts at once would both find nothing running. */
  readonly lock: Pick<InstanceLock, 'dataDir'>;
  /** Where programs are looked up (`PATH`), and what they get (`DOCKER_HOST`, …). */
  readonly env: NodeJS.ProcessEnv;
  readonly isRoot: boolean;
  /** For a server that ended and must come back where its clients look for it. */
  readonly port?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly say: (line: string) => void;
}

/**
 * A Redis on `<data directory>/redis`: the one that an earlier run left there, or else the first that can be had of a
 * server on the PATH, Docker, and the system's package manager.
 *
 * Once there are data, only what reads them is taken: a server on the PATH has them in the directory, Docker in a volume,
 * and to begin anew beside them would strand events that were answered with 200.
 *
 * @throws {StartError} when none can be had, or when it is unclear whether one runs on these files.
 */
export async function provideRedis(provision: RedisProvision): Promise<RedisServer> {
  const { lock, signal } = provision;
  const dir = join(await realpath(lock.dataDir), 'redis');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const running = await findRunning({ dir, signal });
  if (running) return told(await adoptProcessServer(running, dir, signal), provision);
  const keeper = await keeperOfData(dir);
  const reasons: string[] = [];
  for (const way of waysOf(keeper)) {
    signal?.throwIfAborted();
    try {
      const server = await way(provision, dir);
      if (server) return told(server, provision);
    } catch (error) {
      if (signal?.aborted) throw error;
      reasons.push(errorMessage(error));
    }
  }
  throw nothingFound(keeper, dir, reasons);
}

function told(server: RedisServer, { say }: RedisProvision): RedisServer {
  say(`Redis at ${server.url}: ${server.source}`);
  return server;
}

type Keeper = 'process' | 'docker';

/** What can read the data of earlier runs; undefined when there are none. */
async function keeperOfData(dir: string): Promise<Keeper | undefined> {
  if ((await readInstance(dir))?.kind === 'docker') return 'docker';
  const files = await readdir(dir);
  return files.some((file) => file.startsWith('appendonly')) ? 'process' : undefined;
}

type Way = (provision: RedisProvision, dir: string) => Promise<RedisServer | undefined>;

function waysOf(keeper: Keeper | undefined): readonly Way[] {
  const ways: readonly (readonly [Keeper, Way])[] = [
    ['process', fromPath],
    ['docker', fromDocker],
    ['process', fromPackageManager],
  ];
  return ways.filter(([kind]) => keeper === undefined || keeper === kind).map(([, way]) => way);
}

async function fromPath({ env, port, signal }: RedisProvision, dir: string): Promise<RedisServer | undefined> {
  const binary = await findRedisBinary(env.PATH ?? '');
  return binary === undefined ? undefined : startProcessServer({ binary, dir, port, signal });
}

async function fromDocker(provision: RedisProvision, dir: string): Promise<RedisServer | undefined> {
  const { env, port, signal, say } = provision;
  const docker = await findOnPath('docker', env.PATH ?? '');
  if (docker === undefined || !(await dockerAnswers(docker, env))) return undefined;
  return startDockerServer({ docker, dir, port, env, signal, say });
}

async function fromPackageManager(provision: RedisProvision, dir: string): Promise<RedisServer | undefined> {
  // A server that is there and did not start is not mended by installing it.
  if ((await findRedisBinary(provision.env.PATH ?? '')) !== undefined) return undefined;
  return (await installRedisPackage(provision)) ? fromPath(provision, dir) : undefined;
}

function nothingFound(keeper: Keeper | undefined, dir: string, reasons: readonly string[]): StartError {
  if (reasons.length > 0) return new StartError(`no Redis could be started: ${reasons.join('; ')}`);
  if (keeper === undefined) return new StartError(NO_REDIS);
  const begin = `or set REDIS_URL to another Redis, or delete ${dir} to begin with an empty queue`;
  return keeper === 'docker'
    ? new StartError(
        `the queue of this DATA_DIR is in the Docker volume ${containerName(dir)}, and Docker does not answer: start it, ${begin}`,
      )
    : new StartError(
        `the queue of this DATA_DIR is in ${dir}, and there is no redis-server or valkey-server on the PATH to read it: install one, ${begin}`,
      );
}

export const NO_REDIS =
  'there is no Redis: install redis-server (or valkey-server) so that it is on the PATH, or start Docker, or set REDIS_URL to one that runs elsewhere';
