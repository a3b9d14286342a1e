import { Agent } from 'undici';
import type { Config } from '../shared/config.js';
import { createConnectorStates, type ConnectorStates } from '../shared/connector-states.js';
import { createKeys, type Keys } from '../shared/keys.js';
import type { Logger } from '../shared/logger.js';
import { createPortalStore, type PortalStore } from '../shared/portals.js';
import { openQueue, type DeliveryQueue, type EffectQueue, type RejectedQueue } from '../shared/queues.js';
import { DEFAULT_REDIS_URL, connectPatiently, type Redis } from '../shared/redis.js';
import { buildRest, type RestStack } from '../shared/rest-stack.js';
import { createSealer, type Sealer } from '../shared/sealer.js';
import { registerSecretKey } from '../shared/secret-key-registry.js';
import { loadSecretKeys } from '../shared/secret-keys.js';
import { buildInstallation, type InstallationParts } from './installation/build-installation.js';
import { createParkingLots, type ParkingLots } from './parking-lots.js';
import { createWaitingForPortal, type WaitingForPortal } from './waiting-for-portal.js';

/** What the steps of the worker share: connections, stores, and the way to Bitrix24. */
export interface WorkerBase {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly prefix: string;
  readonly logger: Logger;
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

export async function openWorkerBase(config: Config, logger: Logger): Promise<WorkerBase> {
  const secretKeys = await loadSecretKeys(config);
  const redis = connectPatiently(config.redisUrl ?? DEFAULT_REDIS_URL, logger);
  const prefix = config.queuePrefix;
  const keys = createKeys(prefix);
  await registerSecretKey(redis, keys, secretKeys);

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
    effectQueue: openQueue('effects', redis, prefix),
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

/** As long as a job of a removed portal may still be retried. */
function removalSecondsOf(config: Config): number {
  return config.effectAgeSecondsMax + config.keepFailedSeconds;
}
