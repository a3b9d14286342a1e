import { errorCode, errorMessage } from '../../caught-error.js';
import { JobError } from '../../errors.js';
import type { Keys } from '../../keys.js';
import type { Logger } from '../../logger.js';
import type { Portal, PortalStore } from '../../portals.js';
import type { Redis } from '../../redis.js';
import type { Sealer } from '../../sealer.js';
import type { HostRules } from './host-rules.js';
import { installed, type InstalledPortal } from './installed-portal.js';
import type { OAuthClient, RenewalAnswer } from './oauth-client.js';
import { fingerprint, type Draft, type KeptPair, type RenewalFiles } from './renewal-files.js';
import type { RenewalRecords } from './renewal-records.js';
import type { SuspensionReason } from './rest-answer.js';
import { suspend, suspendedError } from './suspensions.js';

export interface RenewalRunDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly sealer: Sealer;
  readonly portals: PortalStore;
  readonly oauth: Pick<OAuthClient, 'renew'>;
  readonly rules: HostRules;
  readonly logger: Logger;
  readonly now: () => number;
  readonly files: RenewalFiles;
  readonly records: RenewalRecords;
}

type Renewed = Extract<RenewalAnswer, { kind: 'renewed' }>;

/** One renewal, by the one process that holds the lock. */
export class RenewalRun {
  readonly #deps: RenewalRunDeps;
  readonly #retryAfterMs: number;

  constructor(deps: RenewalRunDeps, retryAfterMs: number) {
    this.#deps = deps;
    this.#retryAfterMs = retryAfterMs;
  }

  /** @throws {JobError} */
  async renew(portal: InstalledPortal): Promise<Portal> {
    const kept = await this.#fromFile(portal);
    if (kept) return kept;
    const server = this.#deps.rules.oauthServer(portal.serverEndpoint);
    if (!server) throw new JobError('REST_HOST_REFUSED', 'the OAuth server of the portal');
    const draft = await this.#prepare(portal.memberId);
    try {
      // Under no signal but the OAuth client's own time limit: an answer that nobody waits for is a portal lost.
      const answer = await this.#deps.oauth.renew(server, portal.oauth.refreshToken, new AbortController().signal);
      return await this.#conclude(portal, answer, draft);
    } finally {
      await draft.discard();
    }
  }

  async #conclude(portal: InstalledPortal, answer: RenewalAnswer, draft: Draft): Promise<Portal> {
    switch (answer.kind) {
      case 'renewed':
        if (answer.memberId !== portal.memberId) return this.#suspend(portal, 'access', 'the tokens of another portal');
        return this.#keep(portal, answer, draft);
      case 'dead':
        // A pair may have been kept meanwhile, by a process whose lock had run out.
        return (await this.#fromFile(portal)) ?? this.#suspend(portal, 'reauthorize', answer.code);
      case 'suspended':
        return this.#suspend(portal, answer.reason, answer.code);
      case 'refused':
        return this.#suspend(portal, 'access', answer.code);
      case 'unavailable':
        throw new JobError('REST_UNAVAILABLE', answer.code, { retryAfterMs: this.#retryAfterMs });
      default:
        return answer satisfies never;
    }
  }

  async #keep(portal: InstalledPortal, answer: Renewed, draft: Draft): Promise<Portal> {
    const { rules, records, logger } = this.#deps;
    const endpoint = rules.portalEndpoint(answer.clientEndpoint);
    const pair: KeptPair = {
      memberId: portal.memberId,
      generation: portal.oauth.generation + 1,
      accessToken: answer.accessToken,
      refreshToken: answer.refreshToken,
      userId: answer.userId ?? portal.oauth.userId,
      clientEndpoint: endpoint?.href ?? null,
      installedAtMs: portal.installedAtMs,
      replaces: fingerprint(portal.oauth.refreshToken),
    };
    await draft.keep(pair).catch((error: unknown) => this.#notKept(portal, error));
    const saved = installed(await records.save(pair, endpoint ? { domain: endpoint.host } : {}));
    logger.info({ event: 'portal.tokens_renewed', memberId: portal.memberId }, 'tokens renewed');
    return saved;
  }

  /** The disk took the room and not the pair. The pair is the only one there is: it goes into the record all the same. */
  #notKept(portal: Portal, error: unknown): void {
    const reason = errorCode(error) ?? errorMessage(error);
    const line = { event: 'portal.tokens_not_on_disk', memberId: portal.memberId, reason };
    this.#deps.logger.error(line, 'new tokens could not be written to DATA_DIR and are in Redis alone');
  }

  async #fromFile(portal: InstalledPortal): Promise<Portal | undefined> {
    const { files, records } = this.#deps;
    // What cannot be read is no reason not to renew.
    const file = await files.read(portal.memberId).catch(() => undefined);
    const saved = file?.pair && (await records.save(file.pair));
    return saved?.oauth && saved.oauth.generation > portal.oauth.generation ? saved : undefined;
  }

  async #prepare(memberId: string): Promise<Draft> {
    try {
      return await this.#deps.files.prepare(memberId);
    } catch (error) {
      const reason = errorCode(error) ?? errorMessage(error);
      const line = { event: 'renewal.no_disk', memberId, reason };
      this.#deps.logger.error(line, 'tokens are not renewed, because DATA_DIR cannot take the new ones');
      throw new JobError('REST_UNAVAILABLE', 'DATA_DIR cannot be written', { cause: error, retryAfterMs: 60_000 });
    }
  }

  /** @throws {JobError} always, unless the portal has other tokens by now. */
  async #suspend(portal: InstalledPortal, reason: SuspensionReason, code: string): Promise<Portal> {
    const { portals, logger, now } = this.#deps;
    const { memberId, oauth } = portal;
    const suspending = { memberId, reason, generation: oauth.generation, nowMs: now() };
    const after = installed(await suspend(portals, suspending), code);
    // Somebody has renewed or installed it meanwhile, on another machine or with a lock that had run out.
    if (after.oauth.generation > oauth.generation || !after.suspension) return after;
    const line = { memberId, domain: portal.domain, code };
    if (reason === 'reauthorize')
      logger.error({ event: 'portal.needs_installation', ...line }, 'its refresh token is dead: install the app again');
    else if (reason === 'access')
      logger.error({ event: 'portal.renewal_refused', ...line }, 'Bitrix24 refuses the app: look at B24_CLIENT_ID');
    else logger.warn({ event: 'portal.suspended', reason, ...line }, 'the portal cannot be called at present');
    throw suspendedError(after.suspension, now(), code);
  }
}
