import type { Config } from './config.js';
import type { Keys } from './keys.js';
import { decodePortal, decodeRemoval, encodePortal, encodeRemoval, isSealedAsNow } from './portal-record.js';
import { redisScript } from './redis-script.js';
import type { Redis } from './redis.js';
import type { Sealer } from './sealer.js';

/** A Bitrix24 account in which the app is installed. The key is `member_id`, which outlives a change of its domain. */
export interface Portal {
  readonly memberId: string;
  readonly domain: string | null;
  readonly applicationTokens: readonly ApplicationToken[];
  /** `https://<host>/rest/`, as the OAuth server told at the proof, or as a rename told since. */
  readonly clientEndpoint: string | null;
  /** `https://<host>/rest/` of the OAuth server at which it was proven. */
  readonly serverEndpoint: string | null;
  /** null where none were ever proven: no REST then. */
  readonly oauth: PortalOAuth | null;
  /** When the POST came that installed or updated the app; 0 for one that was never proven. */
  readonly installedAtMs: number;
  /** The `ts` of the event of that installation, in whole seconds; 0 where unknown. */
  readonly installedTs: number;
  /** The `ts` of the newest ONAPPPAYMENT, in whole seconds; 0 where none came. */
  readonly paymentTs: number;
  readonly suspension: Suspension | null;
  /** Its plan allows more REST calls a second (https://apidocs.bitrix24.com/limits.html). */
  readonly isEnterprise: boolean;
}

export interface ApplicationToken {
  readonly token: string;
  /** A token that was replaced still holds for what was received before; null for the one that holds now. */
  readonly receivedBeforeMs: number | null;
}

export interface PortalOAuth {
  readonly accessToken: string;
  readonly refreshToken: string;
  /** Whose tokens they are. */
  readonly userId: number | null;
  /** One more at every renewal and installation: the pair with the higher one is the one that holds. */
  readonly generation: number;
}

/** Why a portal is not called for the time being; what needs it waits. */
export interface Suspension {
  /** `reauthorize`: its refresh token is dead, and only an installation helps. */
  readonly reason: 'payment' | 'deleted' | 'access' | 'overload' | 'reauthorize';
  readonly sinceMs: number;
  /** From then on one call may look whether it has healed; null: only an event of the portal ends it. */
  readonly probeAtMs: number | null;
}

/** That a portal was removed: what was received before is cancelled. */
export interface Removal {
  readonly receivedAtMs: number;
  /** The delivery that removed it: it goes on, though its portal is no longer known. */
  readonly deliveryId: string;
  /** Its user asked to delete what the app has kept of it. */
  readonly isClean: boolean;
}

export interface PortalStore {
  find(memberId: string): Promise<Portal | undefined>;
  /** Both at once, in one round trip. */
  look(memberId: string): Promise<{ readonly portal: Portal | undefined; readonly removal: Removal | undefined }>;
  /** Tells all workers, too: what they parked for this portal can go on. */
  save(portal: Portal): Promise<void>;
  /**
   * Replaces a record by what `change` makes of it, again if somebody else was faster. Where `change` gives undefined nothing is
   * written. Answers what stands there afterwards.
   */
  update(memberId: string, change: (portal: Portal | undefined) => Portal | undefined): Promise<Portal | undefined>;
  /** Removes the record, unless a later installation wrote it. Says whether there is none now. */
  remove(memberId: string, removal: Removal): Promise<boolean>;
  /** The ids of all portals that have a record. */
  all(): Promise<readonly string[]>;
  /** Seals a record anew if it was sealed with another key than the current one. Says whether it did. */
  reseal(memberId: string): Promise<boolean>;
}

export interface PortalStoreDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly sealer: Sealer;
  readonly prefix: string;
  /** How long a removal is remembered: longer than any job of the portal may live. */
  readonly removalSeconds?: number;
}

const REMOVAL_SECONDS = 30 * 86_400;
const UPDATE_TRIES = 20;

/** On which the id of a portal is published when its record was written or removed. */
export function portalChangedChannel(prefix: string): string {
  return `${prefix}:portal-changed`;
}

/** As long as a job of a removed portal may still be retried. */
export function removalSecondsOf(config: Pick<Config, 'effectAgeSecondsMax' | 'keepFailedSeconds'>): number {
  return config.effectAgeSecondsMax + config.keepFailedSeconds;
}

/** A portal of which nothing is known but its id. */
export function emptyPortal(memberId: string): Portal {
  return {
    memberId,
    domain: null,
    applicationTokens: [],
    clientEndpoint: null,
    serverEndpoint: null,
    oauth: null,
    installedAtMs: 0,
    installedTs: 0,
    paymentTs: 0,
    suspension: null,
    isEnterprise: false,
  };
}

/** Writes a record if it is still the one that was read (ARGV[2], empty for none). */
const WRITE = redisScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[3])
redis.call('SADD', KEYS[2], ARGV[1])
return 1
`);

const REMOVE = redisScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
redis.call('SREM', KEYS[2], ARGV[1])
redis.call('SET', KEYS[3], ARGV[3], 'EX', ARGV[4])
return 1
`);

export function createPortalStore(deps: PortalStoreDeps): PortalStore {
  return new RedisPortals(deps);
}

class RedisPortals implements PortalStore {
  readonly #deps: PortalStoreDeps;

  constructor(deps: PortalStoreDeps) {
    this.#deps = deps;
  }

  async find(memberId: string): Promise<Portal | undefined> {
    const { redis, keys } = this.#deps;
    return this.#decode(memberId, await redis.get(keys.portal(memberId)));
  }

  async look(memberId: string): Promise<{ portal: Portal | undefined; removal: Removal | undefined }> {
    const { redis, keys } = this.#deps;
    const [text, removal] = await redis.mget(keys.portal(memberId), keys.portalRemoved(memberId));
    return {
      portal: this.#decode(memberId, text),
      removal: removal ? decodeRemoval(memberId, removal) : undefined,
    };
  }

  async save(portal: Portal): Promise<void> {
    await this.update(portal.memberId, () => portal);
  }

  async update(
    memberId: string,
    change: (portal: Portal | undefined) => Portal | undefined,
  ): Promise<Portal | undefined> {
    const { redis, keys, prefix } = this.#deps;
    for (let tries = 0; tries < UPDATE_TRIES; tries += 1) {
      const text = await redis.get(keys.portal(memberId));
      const before = this.#decode(memberId, text);
      const after = change(before);
      if (!after) return before;
      if (!(await this.#write(after, text))) continue;
      await redis.publish(portalChangedChannel(prefix), memberId);
      return after;
    }
    throw new ContendedError(memberId);
  }

  async remove(memberId: string, removal: Removal): Promise<boolean> {
    const { redis, keys, prefix, removalSeconds = REMOVAL_SECONDS } = this.#deps;
    for (let tries = 0; tries < UPDATE_TRIES; tries += 1) {
      const text = await redis.get(keys.portal(memberId));
      const portal = this.#decode(memberId, text);
      if (portal && portal.installedAtMs > removal.receivedAtMs) return false;
      const touched = [keys.portal(memberId), keys.portals, keys.portalRemoved(memberId)];
      const args = [memberId, text ?? '', encodeRemoval(removal), removalSeconds];
      if ((await REMOVE.run(redis, touched, args)) !== 1) continue;
      await redis.publish(portalChangedChannel(prefix), memberId);
      return true;
    }
    throw new ContendedError(memberId);
  }

  async all(): Promise<readonly string[]> {
    const { redis, keys } = this.#deps;
    const memberIds = new Set<string>();
    for await (const batch of redis.sscanStream(keys.portals, { count: 500 }))
      for (const memberId of batch as string[]) memberIds.add(memberId);
    return [...memberIds];
  }

  async reseal(memberId: string): Promise<boolean> {
    const { redis, keys, sealer } = this.#deps;
    const text = await redis.get(keys.portal(memberId));
    if (text === null || isSealedAsNow(sealer, memberId, text)) return false;
    const portal = this.#decode(memberId, text);
    return portal !== undefined && this.#write(portal, text);
  }

  async #write(portal: Portal, expected: string | null): Promise<boolean> {
    const { redis, keys, sealer } = this.#deps;
    const args = [portal.memberId, expected ?? '', encodePortal(sealer, portal)];
    return (await WRITE.run(redis, [keys.portal(portal.memberId), keys.portals], args)) === 1;
  }

  #decode(memberId: string, text: string | null | undefined): Portal | undefined {
    return text ? decodePortal(this.#deps.sealer, memberId, text) : undefined;
  }
}

class ContendedError extends Error {
  constructor(memberId: string) {
    super(`the record of portal ${memberId} is being changed by others all the time`);
  }
}
