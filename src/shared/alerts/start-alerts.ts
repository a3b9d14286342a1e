import { randomBytes } from 'node:crypto';
import type { Config } from '../config.js';
import { createKeys } from '../keys.js';
import type { Logger } from '../logger.js';
import { oneAtATime } from '../one-at-a-time.js';
import { readQueueCounts } from '../queue-counts.js';
import { openQueue } from '../queues.js';
import { redisAddressOf, type RedisSettings } from '../redis-address.js';
import { readRedisInfo } from '../redis-info.js';
import { connectFailingFast } from '../redis.js';
import { withTimeLimit } from '../time-limit.js';
import type { AlertRule } from './alert-rule.js';
import { Alerter, type AlerterDeps } from './alerter.js';
import { createQueueRules } from './queue-rules.js';
import { createRedisRules } from './redis-rules.js';
import { createToldAlerts } from './told-alerts.js';

export interface AlertsDeps {
  readonly config: RedisSettings & Pick<Config, 'alertUrl' | 'alertSecrets' | 'effectTimeoutMs'>;
  readonly processName: string;
  readonly logger: Logger;
  /** What this process alone can see; what lies in Redis every process looks at. */
  readonly rules: readonly AlertRule[];
  /** For tests. */
  readonly knobs?: Pick<AlerterDeps, 'lookEveryMs' | 'retryFirstMs'>;
}

const WRITE_TIMEOUT_MS = 2000;
const WRITE_KEPT_MS = 60_000;

/** Over a connection of its own, so that no trouble of another one hides what it looks for. */
export function startAlerts({ config, processName, logger, rules, knobs }: AlertsDeps): { stop(): void } {
  const keys = createKeys(config.queuePrefix);
  // The other connections say when Redis is lost and back.
  const redis = connectFailingFast(redisAddressOf(config), logger.child({}, { level: 'silent' }));
  const queues = (['deliveries', 'effects'] as const).map((name) => openQueue(name, redis, config.queuePrefix));
  const counts = oneAtATime(() => Promise.all(queues.map((queue) => readQueueCounts(queue))));
  const write = async (): Promise<void> => {
    const written = redis.set(keys.writeTrial, Date.now(), 'PX', WRITE_KEPT_MS);
    await withTimeLimit(written, WRITE_TIMEOUT_MS, 'a write to Redis');
  };
  const alerter = Alerter.start({
    rules: [
      ...rules,
      ...createQueueRules({ counts, effectTimeoutMs: config.effectTimeoutMs, nowMs: Date.now }),
      ...createRedisRules({ write, info: () => readRedisInfo(redis) }),
    ],
    processName,
    logger,
    receiver: config.alertUrl === undefined ? undefined : { url: config.alertUrl, secrets: config.alertSecrets },
    told: createToldAlerts({ redis, keys, id: randomBytes(6).toString('hex') }),
    ...knobs,
  });
  return {
    stop() {
      alerter.stop();
      redis.disconnect();
    },
  };
}
