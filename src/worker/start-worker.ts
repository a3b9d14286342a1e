import { randomUUID } from 'node:crypto';
import { Agent } from 'undici';
import type { Config } from '../shared/config.js';
import { createConnectorStates } from '../shared/connector-states.js';
import { createKeys, type Keys } from '../shared/keys.js';
import type { Logger } from '../shared/logger.js';
import { createPortalStore } from '../shared/portals.js';
import type { Running } from '../shared/process-lifecycle.js';
import { startConsumer, type Consumer } from '../shared/queues-consumer.js';
import {
  openQueue,
  type DeliveryQueue,
  type EffectJobData,
  type EffectQueue,
  type RejectedJobData,
  type RejectedQueue,
} from '../shared/queues.js';
import { isKeptWhenDone, readDelivery } from '../shared/delivery.js';
import { DEFAULT_REDIS_URL, connectPatiently, type Redis } from '../shared/redis.js';
import { createSealer, type Sealer } from '../shared/sealer.js';
import { registerSecretKey } from '../shared/secret-key-registry.js';
import { loadSecretKeys } from '../shared/secret-keys.js';
import { Attempts } from './attempts.js';
import { createBackoff } from './backoff.js';
import { createClaims, type Claims } from './claims.js';
import { DeliveryProcessor } from './delivery-processor.js';
import { createDestination } from './destination.js';
import { createEffectJobs } from './effect-jobs.js';
import { connectorStateEffect } from './effects/connector-state.js';
import type { Effect } from './effects/effect.js';
import { forwardEffect } from './effects/forward.js';
import { FirstRun } from './first-run.js';
import { createParkingLot, type ParkingLot } from './parking-lot.js';
import { startParkedReleases } from './parked-releases.js';
import { createRejectedProcessor } from './rejected-processor.js';
import { createRejections, REJECTED_MAX } from './rejections.js';
import { EffectProcessor } from './effect-processor.js';
import { createVerifier } from './verifier.js';

/** Of the slots of a queue, what one destination may take at most: the rest goes on when it hangs. */
const DESTINATION_SHARE = 0.9;
const REJECTED_CONCURRENCY = 4;
/** Longer than the last attempt's deadline: what is still there then does not heed its signal. */
const STOP_GRACE_MS = 1000;

/** Connects, builds, takes jobs; ends in reverse. */
export async function startWorker(config: Config, logger: Logger): Promise<Running> {
  const secretKeys = await loadSecretKeys(config);
  const redis = connectPatiently(config.redisUrl ?? DEFAULT_REDIS_URL, logger);
  const keys = createKeys(config.queuePrefix);
  await registerSecretKey(redis, keys, secretKeys);

  const deliveryQueue: DeliveryQueue = openQueue('deliveries', redis, config.queuePrefix);
  const effectQueue: EffectQueue = openQueue('effects', redis, config.queuePrefix);
  const rejectedQueue: RejectedQueue = openQueue('rejected', redis, config.queuePrefix);
  const dispatcher = new Agent({ connect: { timeout: 10_000 }, maxHeaderSize: 65_536 });
  const sealer = createSealer(secretKeys);
  const effects = buildEffects(config, { redis, keys, logger, dispatcher });
  const parking = createParkingLot({
    redis,
    keys,
    waitMs: config.unknownPortalWaitSeconds * 1000,
    keepFailedMs: config.keepFailedSeconds * 1000,
    now: Date.now,
  });
  const consumers = startConsumers(config, {
    redis,
    keys,
    logger,
    sealer,
    effects,
    parking,
    deliveryQueue,
    effectQueue,
    rejectedQueue,
  });
  const releases = await startParkedReleases({
    redis,
    prefix: config.queuePrefix,
    queue: deliveryQueue,
    parking,
    logger,
  });
  logger.info({ event: 'worker.started', effects: effects.map((effect) => effect.name) }, 'taking jobs');

  return {
    async stop() {
      await Promise.all(consumers.map((consumer) => consumer.stop(config.effectTimeoutMs + STOP_GRACE_MS)));
      releases.stop();
      await dispatcher.destroy();
      redis.disconnect();
    },
  };
}

function buildEffects(
  config: Config,
  deps: { redis: Redis; keys: Keys; logger: Logger; dispatcher: Agent },
): readonly Effect[] {
  const effects: Effect[] = [connectorStateEffect(createConnectorStates(deps))];
  if (config.forwardUrl !== undefined) {
    const destination = createDestination({
      slots: { first: shareOf(config.deliveryConcurrency), retry: shareOf(config.effectConcurrency) },
      restMs: config.effectBackoffMs,
      now: Date.now,
      onStateChange: (state) => logDestination(deps.logger, state),
    });
    const { dispatcher } = deps;
    effects.push(
      forwardEffect({
        url: config.forwardUrl,
        secrets: config.forwardSecrets,
        events: config.forwardEvents,
        destination,
        dispatcher,
        now: Date.now,
      }),
    );
  }
  return effects;
}

interface Parts {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly logger: Logger;
  readonly sealer: Sealer;
  readonly effects: readonly Effect[];
  readonly parking: ParkingLot;
  readonly deliveryQueue: DeliveryQueue;
  readonly effectQueue: EffectQueue;
  readonly rejectedQueue: RejectedQueue;
}

/** The steps of the way of an event, each with what it needs. */
function buildSteps(config: Config, parts: Parts): { deliver: DeliveryProcessor; retryEffect: EffectProcessor } {
  const { redis, keys, logger, effects } = parts;
  const now = Date.now;
  const portals = createPortalStore({ ...parts, prefix: config.queuePrefix });
  const common = {
    logger,
    effects,
    now,
    attemptsMax: config.effectAttempts,
    ageMsMax: config.effectAgeSecondsMax * 1000,
    claims: buildClaims(config, redis, keys),
    verifier: createVerifier({ applicationTokens: config.applicationTokens, portals, sealer: parts.sealer }),
    attempts: new Attempts({ logger, timeoutMs: config.effectTimeoutMs, now }),
    backoff: createBackoff({ baseMs: config.effectBackoffMs, capMs: config.effectBackoffMsMax }),
  };
  const effectJobs = createEffectJobs({ queue: parts.effectQueue, attemptsMax: config.effectAttempts, now });
  const deliver = new DeliveryProcessor({
    ...common,
    parking: parts.parking,
    rejections: createRejections({ queue: parts.rejectedQueue, now }),
    firstRun: new FirstRun({ ...common, effectJobs }),
    laterTwinsRun: config.dedupBy === 'content',
  });
  return { deliver, retryEffect: new EffectProcessor(common) };
}

function startConsumers(config: Config, parts: Parts): readonly Consumer[] {
  const { deliver, retryEffect } = buildSteps(config, parts);
  const rejectedProcessor = createRejectedProcessor({ queue: parts.deliveryQueue });
  const keep = { completedSeconds: config.keepCompletedSeconds, failedSeconds: config.keepFailedSeconds };
  const common = { redis: parts.redis, prefix: config.queuePrefix, logger: parts.logger, keep };
  return [
    startConsumer<unknown>({
      ...common,
      queue: 'deliveries',
      concurrency: config.deliveryConcurrency,
      isKeptWhenDone: (data) => isKeptWhenDone(readDelivery(data)),
      process: (job, signal) => deliver.process(job, signal),
    }),
    startConsumer<EffectJobData>({
      ...common,
      queue: 'effects',
      concurrency: config.effectConcurrency,
      isKeptWhenDone: ({ delivery }) => isKeptWhenDone(delivery),
      process: (job, signal) => retryEffect.process(job, signal),
    }),
    startConsumer<RejectedJobData>({
      ...common,
      queue: 'rejected',
      concurrency: REJECTED_CONCURRENCY,
      keep: { ...keep, failedMax: REJECTED_MAX },
      process: (job) => rejectedProcessor.process(job),
    }),
  ];
}

function buildClaims(config: Config, redis: Redis, keys: Keys): Claims {
  return createClaims({
    redis,
    keys,
    runner: randomUUID(),
    windowSeconds: config.dedupWindowSeconds,
    unfinishedSeconds: config.effectAgeSecondsMax + config.keepFailedSeconds + config.dedupWindowSeconds,
  });
}

function shareOf(slots: number): number {
  return Math.max(1, Math.floor(slots * DESTINATION_SHARE));
}

function logDestination(logger: Logger, state: 'open' | 'closed'): void {
  if (state === 'open')
    logger.warn(
      { event: 'destination.resting', destination: 'forward' },
      'it keeps failing: spared until a test succeeds',
    );
  else logger.info({ event: 'destination.back', destination: 'forward' }, 'it takes events again');
}
