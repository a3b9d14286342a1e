import type { Keys } from './keys.js';
import type { Redis } from './redis.js';
import type { Sealer } from './sealer.js';

/** A Bitrix24 account in which the app is installed. The key is `member_id`, which outlives a change of its domain. */
export interface Portal {
  readonly memberId: string;
  readonly domain: string | null;
  readonly applicationTokens: readonly ApplicationToken[];
}

export interface ApplicationToken {
  readonly token: string;
  /** A token that was replaced still holds for what was received before; null for the one that holds now. */
  readonly receivedBeforeMs: number | null;
}

export interface PortalStore {
  find(memberId: string): Promise<Portal | undefined>;
  /** Tells all workers, too: what they parked for this portal can go on. */
  save(portal: Portal): Promise<void>;
  remove(memberId: string): Promise<void>;
}

/** What stands in Redis; the tokens are sealed, and open only in the record of their portal. */
interface PortalRecord {
  readonly v: 1;
  readonly domain: string | null;
  readonly seal: string;
}

/** On which the id of a portal is published when it was saved. */
export function portalSavedChannel(prefix: string): string {
  return `${prefix}:portal-saved`;
}

export function createPortalStore(deps: { redis: Redis; keys: Keys; sealer: Sealer; prefix: string }): PortalStore {
  const { redis, keys, sealer } = deps;
  return {
    async find(memberId) {
      const text = await redis.get(keys.portal(memberId));
      if (text === null) return undefined;
      const record = JSON.parse(text) as PortalRecord;
      const opened = sealer.open(record.seal, contextOf(memberId));
      // Thrown, so that the job is put off: a portal whose record cannot be read is not an unknown portal.
      if (opened.status !== 'opened')
        throw new Error(`the record of portal ${memberId} cannot be opened: ${opened.status}`);
      return { memberId, domain: record.domain, applicationTokens: JSON.parse(opened.plain) as ApplicationToken[] };
    },
    async save(portal) {
      const seal = sealer.seal(JSON.stringify(portal.applicationTokens), contextOf(portal.memberId));
      const record: PortalRecord = { v: 1, domain: portal.domain, seal };
      await redis.set(keys.portal(portal.memberId), JSON.stringify(record));
      await redis.publish(portalSavedChannel(deps.prefix), portal.memberId);
    },
    async remove(memberId) {
      await redis.del(keys.portal(memberId));
    },
  };
}

function contextOf(memberId: string): string {
  return JSON.stringify(['portal', memberId]);
}
