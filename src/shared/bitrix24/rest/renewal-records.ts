import { errorMessage } from '../../caught-error.js';
import type { Portal, PortalStore } from '../../portals.js';
import type { Redis } from '../../redis.js';
import { fingerprint, type KeptPair } from './renewal-files.js';

export interface RenewalRecordsDeps {
  /** The connection that wrote the record: Redis waits for what was written on the same one. */
  readonly redis: Redis;
  readonly portals: PortalStore;
}

const WAIT_MS = 1000;

/** How a new pair gets into the record of its portal. */
export class RenewalRecords {
  readonly #deps: RenewalRecordsDeps;
  #canWait = true;

  constructor(deps: RenewalRecordsDeps) {
    this.#deps = deps;
  }

  /** Writes the pair, if it is newer than the one that stands there. Answers the record as it is then. */
  async save(pair: KeptPair, changes: Partial<Pick<Portal, 'domain'>> = {}): Promise<Portal | undefined> {
    let isWritten = false;
    const portal = await this.#deps.portals.update(pair.memberId, (record) => {
      isWritten = record !== undefined && isNewer(pair, record);
      return record && isWritten ? withPair(record, pair, changes) : undefined;
    });
    if (isWritten) await this.#untilOnDisk();
    return portal;
  }

  /** The pair is on our own disk already; this makes it less likely that it will be needed from there. */
  async #untilOnDisk(): Promise<void> {
    if (!this.#canWait) return;
    try {
      await this.#deps.redis.call('WAITAOF', 1, 0, WAIT_MS);
    } catch (error) {
      // Known since 7.2, and refused where there is no append-only file.
      if (/unknown command|appendonly is disabled/i.test(errorMessage(error))) this.#canWait = false;
    }
  }
}

/**
 * Whether a pair is to replace that of a record: because it was got for the very refresh token that stands there, or because it
 * is a later one of the same installation. Of two installations the pairs have nothing to do with each other.
 */
export function isNewer(pair: KeptPair, { oauth, installedAtMs }: Portal): boolean {
  if (!oauth || oauth.refreshToken === pair.refreshToken) return false;
  if (fingerprint(oauth.refreshToken) === pair.replaces) return true;
  return installedAtMs === pair.installedAtMs && oauth.generation < pair.generation;
}

function withPair(record: Portal, pair: KeptPair, changes: Partial<Pick<Portal, 'domain'>>): Portal {
  const { accessToken, refreshToken, userId } = pair;
  // An installation that brought back the token which was used up for this pair has counted on.
  const generation = Math.max(pair.generation, (record.oauth?.generation ?? 0) + 1);
  return {
    ...record,
    ...changes,
    clientEndpoint: pair.clientEndpoint ?? record.clientEndpoint,
    oauth: { accessToken, refreshToken, userId, generation },
    suspension: record.suspension?.reason === 'reauthorize' ? null : record.suspension,
  };
}
