import { once } from 'node:events';
import { errorMessage } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import type { Logger } from '../../shared/logger.js';
import { connectFailingFast, type Redis } from '../../shared/redis.js';
import { StartError } from '../../shared/start-error.js';
import { findRedisUrl } from './find-redis-url.js';

const READY_WITHIN_MS = 3000;

/**
 * The Redis of the processes, for a command: ready, or a sentence after a few seconds that says why not.
 *
 * @throws {StartError} where none answers.
 */
export async function openRedis(config: Pick<Config, 'redisUrl' | 'dataDir'>, logger: Logger): Promise<Redis> {
  const url = await findRedisUrl(config);
  const redis = connectFailingFast(url, logger);
  try {
    await once(redis, 'ready', { signal: AbortSignal.timeout(READY_WITHIN_MS) });
    return redis;
  } catch (error) {
    redis.disconnect();
    throw noRedis(url, error, config);
  }
}

/** Without the user and password that an address may hold. */
function noRedis(url: string, error: unknown, config: Pick<Config, 'redisUrl'>): StartError {
  const reason = errorMessage(error).includes('aborted')
    ? `nothing within ${READY_WITHIN_MS / 1000} s`
    : errorMessage(error);
  const advice =
    config.redisUrl === undefined
      ? 'start the processes, set REDIS_URL, or set DATA_DIR to the one of npm start'
      : 'look at REDIS_URL';
  return new StartError(`no Redis answers at ${new URL(url).host} (${reason}): ${advice}`);
}
