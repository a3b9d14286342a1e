import { errorMessage } from '../shared/caught-error.js';
import { loadConfig, type Config } from '../shared/config.js';
import { createKeys, type Keys } from '../shared/keys.js';
import { createLogger, type Logger } from '../shared/logger.js';
import type { Redis } from '../shared/redis.js';
import { StartError } from '../shared/start-error.js';
import { untilAborted } from '../shared/until-aborted.js';
import type { CommandHost } from './command-host.js';
import { EXIT_INTERRUPTED } from './exit-codes.js';
import { openRedis } from './redis/open-redis.js';

/** What a command has that looks at the Redis of the processes, or changes something there. */
export interface OnRedis extends Omit<CommandHost, 'env'> {
  readonly config: Config;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly logger: Logger;
}

/**
 * Connects, works, and lets go. Gives the exit code that `work` gives, or 130 after a signal.
 *
 * @throws {ConfigError} for a wrong variable, {StartError} where Redis does not answer, or answers with a refusal.
 */
export function runOnRedis(name: string, host: CommandHost, work: Work): Promise<number> {
  return runOnRedisToTheEnd(name, host, (parts) => untilAborted(parts.signal, work(parts)));
}

type Work = (parts: OnRedis) => Promise<number>;

/** The same for work that ends by itself after a signal, and needs Redis until then. */
export async function runOnRedisToTheEnd(name: string, { env, ...host }: CommandHost, work: Work): Promise<number> {
  const config = loadConfig(env);
  const logger = createLogger('error', name, process.stderr);
  const redis = await openRedis(config, logger);
  try {
    const keys = createKeys(config.queuePrefix);
    const exitCode = await work({ ...host, config, redis, keys, logger });
    return host.signal.aborted ? EXIT_INTERRUPTED : exitCode;
  } catch (error) {
    if (host.signal.aborted) return EXIT_INTERRUPTED;
    throw faultOfRedis(error) ?? error;
  } finally {
    redis.disconnect();
  }
}

const REDIS_FAULT =
  /^(?:Command timed out|Connection is closed|Stream isn't writeable|Reached the max retries|Socket timeout|(?:OOM|READONLY|MISCONF|LOADING|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|NOPERM|NOAUTH)\b)/;

/** In one sentence: what Redis refuses is for the person at the terminal to mend, and a stack would not help. */
function faultOfRedis(error: unknown): StartError | undefined {
  const reason = errorMessage(error);
  return REDIS_FAULT.test(reason) ? new StartError(`Redis does not do what is asked of it: ${reason}`) : undefined;
}
