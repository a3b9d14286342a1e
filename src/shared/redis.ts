import { Redis, type RedisOptions } from 'ioredis';
import type { Logger } from './logger.js';

export type { Redis };

/** For processes that are started by hand; `npm start` finds or starts a Redis of its own. */
export const DEFAULT_REDIS_URL = 'redis://127.0.0.1:6379';

const COMMON = {
  connectTimeout: 2000,
  keepAlive: 10_000,
  retryStrategy: (times: number) => Math.min(50 * 2 ** Math.min(times, 6), 2000),
  // A replica that was a master answers READONLY after a failover: connect anew, to find the master.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions;

/**
 * A connection for one who adds: every command answers or fails within two seconds, Redis down, hung or gone, and it
 * recovers by itself. A command that timed out may have been carried out.
 */
export function connectFailingFast(url: string, logger: Logger): Redis {
  const options = {
    ...COMMON,
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: 2000,
    socketTimeout: 5000,
  } satisfies RedisOptions;
  return logged(new Redis(url, options), logger);
}

/**
 * A connection for one who works: commands wait for Redis as long as it takes. Never a `commandTimeout` here: a blocking
 * read that is cut off leaves a worker that says it is running and takes nothing.
 */
export function connectPatiently(url: string, logger: Logger): Redis {
  return logged(new Redis(url, { ...COMMON, maxRetriesPerRequest: null }), logger);
}

/** Says when the connection is lost and when it is back, once each, not at every attempt in between. */
function logged(redis: Redis, logger: Logger): Redis {
  let lost = false;
  redis.on('error', (error: Error) => {
    if (lost) return;
    lost = true;
    logger.warn({ event: 'redis.lost', reason: error.message }, 'Redis does not answer; trying again until it does');
  });
  redis.on('ready', () => {
    if (lost) logger.info({ event: 'redis.back' }, 'Redis answers again');
    lost = false;
  });
  return redis;
}
