import { setTimeout as sleep } from 'node:timers/promises';
import { Agent } from 'undici';
import { errorMessage } from '../shared/caught-error.js';
import { ConfigError, type Config } from '../shared/config.js';
import { createConnectorStates, type ConnectorStates } from '../shared/connector-states.js';
import { createKeys, type Keys } from '../shared/keys.js';
import type { Logger } from '../shared/logger.js';
import { createPortalStore, removalSecondsOf, type PortalStore } from '../shared/portals.js';
import {
  openQueue,
  openTracedQueue,
  type DeliveryQueue,
  type EffectQueue,
  type RejectedQueue,
} from '../shared/queues.js';
import type { ProcessContext } from '../shared/process-lifecycle.js';
import { redisAddressOf } from '../shared/redis-address.js';
import { connectPatiently, type Redis } from '../shared/redis.js';
import { buildRest, type RestStack } from '../shared/rest-stack.js';
import { createSealer, type Sealer } from '../shared/sealer.js';
import { registerSecretKey } from '../shared/secret-key-registry.js';
import { loadSecretKeys } from '../shared/secret-keys.js';
import type { Tracing } from '../shared/tracing/tracing.js';
import { buildInstallation, type InstallationParts } from './installation/build-installation.js';
import { createParkingLots, type ParkingLots } from './parking-lots.js';
import { createWaitingForPortal, type WaitingForPortal } from './waiting-for-portal.js';

/** What the steps of the worker share: connections, stores, and the way to Bitrix24. */
export interface WorkerBase {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly prefix: string;
  readonly logger: Logger;
  readonly tracing: Tracing;
  readonly sealer: Sealer;
  readonly deliveryQueue: DeliveryQueue;
  readonly effectQueue: EffectQueue;
  readonly rejectedQueue: RejectedQueue;
  readonly portals: PortalStore;
  readonly connectorStates: ConnectorStates;
  readonly parking: ParkingLots;
  readonly waiting: WaitingForPortal;
  /** For what goes to addresses of the operator; calls to Bitrix24 have a way of their own. */
  readonly dispatcher: Agent;
  /** Both undefined where B24_CLIENT_ID is not set. */
  readonly rest: RestStack | undefined;
  readonly installation: InstallationParts | undefined;
  close(): Promise<void>;
}

const ASK_AGAIN_MS = 1000;

/** A Redis that refuses (a wrong password, a replica, a full one) is no other fault than one that is down: it is waited for. */
async function untilAllowed(ask: () => Promise<void>, logger: Logger): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof ConfigError) throw error;
      const reason = errorMessage(error);
      if (tries % 60 === 0)
        logger.error({ event: 'redis.refuses', reason }, 'Redis refuses; trying again until it does not');
      await sleep(ASK_AGAIN_MS);
    }
  }
}

type WorkerContext = Pick<ProcessContext, 'config' | 'logger' | 'tracing'>;

export async function openWorkerBase({ config, logger, tracing }: WorkerContext): Promise<WorkerBase> {
  const secretKeys = await loadSecretKeys(config);
  const redis = connectPatiently(redisAddressOf(config), logger);
  const prefix = config.queuePrefix;
  const keys = createKeys(prefix);
  await untilAllowed(() => registerSecretKey(redis, keys, secretKeys), logger);

  const sealer = createSealer(secretKeys);
  const portals = createPortalStore({ redis, keys, sealer, prefix, removalSeconds: removalSecondsOf(config) });
  const rejectedQueue: RejectedQueue = openQueue('rejected', redis, prefix);
  const dispatcher = new Agent({ connect: { timeout: 10_000 }, maxHeaderSize: 65_536 });
  const common = { redis, keys, logger, sealer, portals, rejectedQueue };
  const rest = buildRest(config, common);
  return {
    ...common,
    ...buildWaits(config, common),
    prefix,
    deliveryQueue: openQueue('deliveries', redis, prefix),
    effectQueue: openTracedQueue('effects', { redis, prefix, telemetry: tracing.telemetry }),
    tracing,
    connectorStates: createConnectorStates({ redis, keys }),
    dispatcher,
    rest,
    installation: rest && buildInstallation(config, { ...common, rest }),
    async close() {
      await rest?.close();
      await dispatcher.destroy();
      redis.disconnect();
    },
  };
}

function buildWaits(
  config: Config,
  { redis, keys, portals }: { redis: Redis; keys: Keys; portals: PortalStore },
): { readonly parking: ParkingLots; readonly waiting: WaitingForPortal } {
  const now = Date.now;
  return {
    parking: createParkingLots({
      redis,
      keys,
      waitMs: config.unknownPortalWaitSeconds * 1000,
      keepFailedMs: config.keepFailedSeconds * 1000,
      now,
    }),
    waiting: createWaitingForPortal({ redis, keys, portals, ageMsMax: config.effectAgeSecondsMax * 1000, now }),
  };
}
