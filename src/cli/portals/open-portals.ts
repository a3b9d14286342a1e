import { createPortalStore, removalSecondsOf, type PortalStore } from '../../shared/portals.js';
import { createSealer, type Sealer } from '../../shared/sealer.js';
import { requireSecretKeys } from '../require-secret-keys.js';
import type { OnRedis } from '../run-on-redis.js';

/** The records of the portals, which only the key of the processes opens. */
export async function openPortals({
  config,
  redis,
  keys,
}: OnRedis): Promise<{ readonly portals: PortalStore; readonly sealer: Sealer }> {
  const sealer = createSealer(await requireSecretKeys(config));
  const prefix = config.queuePrefix;
  return {
    sealer,
    portals: createPortalStore({ redis, keys, sealer, prefix, removalSeconds: removalSecondsOf(config) }),
  };
}

/** By their ids: those that are installed, and those that the environment alone knows. */
export async function knownPortals({ config }: OnRedis, portals: Pick<PortalStore, 'all'>): Promise<readonly string[]> {
  const configured = [...config.applicationTokens.keys()].filter((memberId) => memberId !== ANY_PORTAL);
  return [...new Set([...(await portals.all()), ...configured])].toSorted();
}

/** The entry of APPLICATION_TOKENS for portals that have none of their own. */
export const ANY_PORTAL = '*';
