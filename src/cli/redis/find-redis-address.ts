import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import {
  DEFAULT_REDIS_URL,
  isRedisGiven,
  redisAddressOf,
  singleRedis,
  type RedisAddress,
  type RedisSettings,
} from '../../shared/redis-address.js';
import { StartError } from '../../shared/start-error.js';
import { findRunning, SilentServerError } from './find-running.js';
import { readInstance } from './instance-file.js';
import { probeRedis } from './redis-probe.js';

/** The Redis of `npm start` hangs. It is in use, so nobody is to end it without having looked. */
export class HangingRedisError extends StartError {
  static readonly advice = 'look why it hangs';

  constructor(readonly found: string) {
    super(`${found}: ${HangingRedisError.advice}`);
    this.name = 'HangingRedisError';
  }
}

/**
 * Where a command finds the Redis of the processes: where the configuration says; or else the one that `npm start` keeps on this
 * DATA_DIR; or else the address that processes take which are started by hand.
 *
 * @throws {HangingRedisError} where one may run on DATA_DIR that does not answer.
 */
export async function findRedisAddress(config: RedisSettings & Pick<Config, 'dataDir'>): Promise<RedisAddress> {
  if (isRedisGiven(config)) return redisAddressOf(config);
  const dir = await directoryOf(join(config.dataDir, 'redis'));
  const port = dir === undefined ? undefined : await portOn(dir);
  return singleRedis(port === undefined ? DEFAULT_REDIS_URL : `redis://127.0.0.1:${port}`);
}

async function portOn(dir: string): Promise<number | undefined> {
  const instance = await readInstance(dir);
  // A container's files lie in a volume, so it cannot name our directory as its own.
  if (instance?.kind === 'docker') return portOfContainer(instance.port, instance.container);
  try {
    return (await findRunning({ dir, patienceMs: PATIENCE_MS }))?.port;
  } catch (error) {
    if (!(error instanceof SilentServerError)) throw error;
    throw new HangingRedisError(`the Redis of npm start (process ${error.pid}, ${error.where}) does not answer`);
  }
}

const PATIENCE_MS = 3000;

async function portOfContainer(port: number, container: string): Promise<number | undefined> {
  const { state } = await probeRedis(port);
  if (state === 'silent')
    throw new HangingRedisError(`the Redis of npm start (container ${container}, port ${port}) does not answer`);
  return state === 'redis' ? port : undefined;
}

/** undefined where nothing was ever started. */
async function directoryOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
