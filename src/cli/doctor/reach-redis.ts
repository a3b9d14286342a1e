import { errorMessage } from '../../shared/caught-error.js';
import type { Config } from '../../shared/config.js';
import { createLogger } from '../../shared/logger.js';
import { redisAddressOf, redisVariableOf, type RedisSettings } from '../../shared/redis-address.js';
import type { Redis } from '../../shared/redis.js';
import { withTimeLimit } from '../../shared/time-limit.js';
import { HangingRedisError } from '../redis/find-redis-address.js';
import { NoRedisError, openRedis } from '../redis/open-redis.js';
import { fail, ok, warn, type Finding } from './finding.js';

/** To find where it is, and to connect. */
const TIMEOUT_MS = 10_000;

export type ReachedRedis =
  { readonly redis: Redis; readonly finding: Finding } | { readonly redis: undefined; readonly finding: Finding };

/** Never throws; which fault it is stands in what the system, Redis or TLS says. */
export async function reachRedis(config: RedisSettings & Pick<Config, 'dataDir'>): Promise<ReachedRedis> {
  const logger = createLogger('fatal', 'doctor', process.stderr);
  try {
    return {
      redis: await withTimeLimit(openRedis(config, logger), TIMEOUT_MS, 'the way to it'),
      finding: ok('reachable', 'it answers'),
    };
  } catch (error) {
    return { redis: undefined, finding: findingOf(error, redisVariableOf(redisAddressOf(config))) };
  }
}

/** For all that cannot be looked at without it. */
export function notReached(name: string): Finding {
  return warn(name, 'not looked at, for Redis was not reached', 'mend Redis first');
}

function findingOf(error: unknown, variable: string): Finding {
  if (error instanceof HangingRedisError) return fail('reachable', error.found, HangingRedisError.advice);
  // Its own advice knows less than what stands below.
  const isNone = error instanceof NoRedisError;
  const [found, reason] = isNone ? [error.found, error.reason] : [errorMessage(error), errorMessage(error)];
  const [, advice] = ADVICE.find(([pattern]) => pattern.test(reason)) ?? [];
  return fail('reachable', found, advice ?? `start it, or correct ${variable}`);
}

/** The first that fits. */
const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/ENOTFOUND|EAI_AGAIN/, 'its name is not known here (DNS): correct the host, or the network of this container'],
  [/WRONGPASS|NOAUTH|NOPERM|invalid password|without any password/i, 'it refuses user or password: correct them'],
  [
    /certificate|self[- ]signed|altname|CERT_|SSL|TLS/i,
    'its certificate is not accepted: set REDIS_TLS_CA, or a host that the certificate names; redis:// is without TLS',
  ],
  [/ECONNREFUSED/, 'nothing listens there: start it, or correct the port'],
  [
    /EHOSTUNREACH|ENETUNREACH|ETIMEDOUT/,
    'no connection comes about: look at network and firewall, and whether it is spoken to with TLS (rediss://) as it wants',
  ],
  [
    /nothing within|took longer|timed out/,
    'it says nothing: it is frozen or overloaded, it still loads its file, or a firewall drops what is sent',
  ],
];
