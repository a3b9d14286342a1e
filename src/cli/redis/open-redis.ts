import { once } from 'node:events';
import type { Config } from '../../shared/config.js';
import type { Logger } from '../../shared/logger.js';
import {
  isRedisGiven,
  redisInWords,
  redisVariableOf,
  type RedisAddress,
  type RedisSettings,
} from '../../shared/redis-address.js';
import { connectFailingFast, redisTroubleInWords, type Redis } from '../../shared/redis.js';
import { StartError } from '../../shared/start-error.js';
import { findRedisAddress } from './find-redis-address.js';

const READY_WITHIN_MS = 3000;

/** No Redis answers where one should. */
export class NoRedisError extends StartError {
  constructor(
    readonly address: RedisAddress,
    /** What the system, Redis or TLS says. */
    readonly reason: string,
    advice: string,
  ) {
    super(`${foundAt(address, reason)}: ${advice}`);
    this.name = 'NoRedisError';
  }

  /** Without what is advised. */
  get found(): string {
    return foundAt(this.address, this.reason);
  }
}

/**
 * The Redis of the processes, for a command: ready, or a sentence after a few seconds that says why not.
 *
 * @throws {NoRedisError} where none answers, {HangingRedisError} where one may run on DATA_DIR that does not answer.
 */
export async function openRedis(config: RedisSettings & Pick<Config, 'dataDir'>, logger: Logger): Promise<Redis> {
  const address = await findRedisAddress(config);
  const redis = connectFailingFast(address, logger);
  const limit = AbortSignal.timeout(READY_WITHIN_MS);
  try {
    await once(redis, 'ready', { signal: limit });
    return redis;
  } catch (error) {
    redis.disconnect();
    const reason = limit.aborted
      ? `nothing within ${READY_WITHIN_MS / 1000} s`
      : await redisTroubleInWords(address, error);
    const advice = isRedisGiven(config)
      ? `look at ${redisVariableOf(address)}`
      : 'start the processes, set REDIS_URL, or set DATA_DIR to the one of npm start';
    throw new NoRedisError(address, reason, advice);
  }
}

function foundAt(address: RedisAddress, reason: string): string {
  const where = address.kind === 'single' ? redisInWords(address).replace(/^.*:\/\//, '') : redisInWords(address);
  return `no Redis answers at ${where} (${reason})`;
}
