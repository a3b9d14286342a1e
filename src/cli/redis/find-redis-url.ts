import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errorCode } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import { DEFAULT_REDIS_URL } from '../../shared/redis.js';
import { findRunning } from './find-running.js';
import { readInstance } from './instance-file.js';
import { probeRedis } from './redis-probe.js';

/**
 * Where a command finds the Redis of the processes: REDIS_URL; or else the one that `npm start` keeps on this DATA_DIR; or else the
 * address that processes take which are started by hand.
 *
 * @throws {StartError} when it cannot be told whether one runs on DATA_DIR.
 */
export async function findRedisUrl(config: Pick<Config, 'redisUrl' | 'dataDir'>): Promise<string> {
  if (config.redisUrl !== undefined) return config.redisUrl;
  const dir = await directoryOf(join(config.dataDir, 'redis'));
  const port = dir === undefined ? undefined : await portOn(dir);
  return port === undefined ? DEFAULT_REDIS_URL : `redis://127.0.0.1:${port}`;
}

async function portOn(dir: string): Promise<number | undefined> {
  const instance = await readInstance(dir);
  // A container's files lie in a volume, so it cannot name our directory as its own.
  if (instance?.kind === 'docker')
    return (await probeRedis(instance.port)).state === 'redis' ? instance.port : undefined;
  return (await findRunning({ dir, patienceMs: PATIENCE_MS }))?.port;
}

const PATIENCE_MS = 3000;

/** undefined where nothing was ever started. */
async function directoryOf(path: string): Promise<string | undefined> {
  try {
    return await realpath(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
