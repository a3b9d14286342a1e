import { jsonField } from '../../shared/bitrix24/json-field.js';
import type { Delivery, Secrets } from '../../shared/delivery.js';
import type { CallAs } from '../../shared/bitrix24/rest/call-as.js';
import { JobError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import { onlineHandlers } from '../../shared/portal-setup.js';
import { emptyPortal, type ApplicationToken, type Portal, type PortalStore } from '../../shared/portals.js';
import { matchesAny, secretDigest } from '../../shared/secret-digest.js';
import type { Confirmation, Confirmations } from './confirmations.js';
import type { InstallationClaim } from './installation-claim.js';
import type { Mismatches } from './mismatches.js';
import type { ProvenFacts, Prover } from './prover.js';

/**
 * Makes portals known. An installation or update whose application token is not known yet goes this way:
 *
 *     claimed ──proof──► proven ──portal not known──► installed
 *        │                  └──portal known──► asked (event.test with a nonce) ──ONAPPTEST──► installed
 *        │                                        └──other token, or no answer in time──► refused
 *        └──► refused
 *
 * While it waits, for the OAuth server or for the portal's answer, its delivery is parked and looked at again and again; each look
 * begins at the state that Redis holds, so a crash anywhere is mended by the next look.
 */
export interface Installer {
  settle(delivery: Delivery, claim: InstallationClaim, signal: AbortSignal): Promise<Settlement>;
  /** Whether it is an answer of a portal to our question; then it is no event for anybody else. */
  takeAnswer(delivery: Delivery, secrets: Secrets, signal: AbortSignal): Promise<boolean>;
  /** For an installation whose token was known before, from the environment or the record: only its OAuth tokens are news. */
  storeTokens(claim: InstallationClaim, signal: AbortSignal): Promise<void>;
}

export type Settlement =
  | { readonly kind: 'installed' }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'waits'; readonly reason: string; readonly untilMs: number };

export interface InstallerDeps {
  readonly portals: PortalStore;
  readonly confirmations: Confirmations;
  readonly mismatches: Pick<Mismatches, 'lookAgain'>;
  readonly prover: Prover;
  readonly callAs: CallAs;
  /** Has tokens in the environment, and is known by them. */
  readonly isConfigured: (memberId: string) => boolean;
  /** Where the portal is to send its answer; without it no known portal can get another token. */
  readonly eventsUrl: string | undefined;
  readonly logger: Logger;
  readonly now: () => number;
}

export const NONCE_FIELD = 'b24_events_nonce';
const LOOK_EVERY_MS = 15_000;
const OLD_TOKENS_MAX = 5;

export class PortalInstaller implements Installer {
  readonly #deps: InstallerDeps;

  constructor(deps: InstallerDeps) {
    this.#deps = deps;
  }

  async settle(delivery: Delivery, claim: InstallationClaim, signal: AbortSignal): Promise<Settlement> {
    const { confirmations } = this.#deps;
    const pending = await confirmations.find(claim.memberId);
    if (pending) return this.#lookAt(pending, delivery, signal);
    const proof = await this.#deps.prover.prove(claim, signal);
    switch (proof.kind) {
      case 'refused':
        return proof;
      case 'unavailable':
        await confirmations.noteProof(claim.memberId);
        return { kind: 'waits', reason: proof.reason, untilMs: this.#deps.now() + proof.retryAfterMs };
      case 'proven':
        return this.#take(delivery, claim, { facts: proof.facts, signal });
      default:
        return proof satisfies never;
    }
  }

  async takeAnswer(delivery: Delivery, secrets: Secrets, signal: AbortSignal): Promise<boolean> {
    const nonce = nonceOf(delivery);
    if (nonce === undefined) return false;
    const { memberId } = delivery.auth;
    const pending = await this.#deps.confirmations.find(memberId);
    if (!pending || !isEqual(nonce, pending.nonce) || this.#deps.now() >= pending.endsAtMs) return false;
    const token = secrets.auth.application_token;
    const isSame = typeof token === 'string' && isEqual(token, pending.claim.applicationToken);
    const refusal = isSame ? await this.#heardByOthers(pending, signal) : 'the portal uses another application token';
    if (refusal === undefined) {
      await this.#install(pending.claim, pending.facts, { isConfirmed: true });
      return true;
    }
    this.#deps.logger.warn(
      { event: 'portal.not_confirmed', memberId, reason: refusal },
      'a new token is not confirmed',
    );
    await this.#deps.confirmations.end(memberId);
    return true;
  }

  async storeTokens(claim: InstallationClaim, signal: AbortSignal): Promise<void> {
    const known = await this.#deps.portals.find(claim.memberId);
    // A crash may have come between a new token and the look at what it had been refused for.
    await this.#deps.mismatches.lookAgain(claim.memberId);
    if (known?.oauth && known.installedAtMs >= claim.receivedAtMs) return;
    const proof = await this.#deps.prover.prove(claim, signal);
    if (proof.kind === 'refused') throw new JobError('PROOF_REFUSED', proof.reason);
    if (proof.kind === 'unavailable')
      throw new JobError('PROOF_UNAVAILABLE', proof.reason, { retryAfterMs: proof.retryAfterMs });
    await this.#install(claim, proof.facts, { isConfirmed: false });
  }

  async #take(
    delivery: Delivery,
    claim: InstallationClaim,
    { facts, signal }: { facts: ProvenFacts; signal: AbortSignal },
  ): Promise<Settlement> {
    const known = await this.#deps.portals.find(claim.memberId);
    const isKnown = this.#deps.isConfigured(claim.memberId) || (known?.applicationTokens.length ?? 0) > 0;
    if (!isKnown) {
      await this.#install(claim, facts, { isConfirmed: false });
      return { kind: 'installed' };
    }
    if (this.#deps.eventsUrl === undefined)
      return { kind: 'refused', reason: 'a known portal has to confirm a new token, which takes PUBLIC_URL' };
    const begun = await this.#deps.confirmations.begin({ deliveryId: delivery.id, claim, facts });
    return this.#lookAt(begun, delivery, signal);
  }

  /** Asks anew at each look: the question may have been lost, and the same answer twice is one. */
  async #lookAt(pending: Confirmation, delivery: Delivery, signal: AbortSignal): Promise<Settlement> {
    const now = this.#deps.now();
    const waits = { kind: 'waits', reason: 'the portal has yet to confirm its new token' } as const;
    if (now >= pending.endsAtMs) {
      await this.#deps.confirmations.end(pending.claim.memberId);
      if (pending.deliveryId === delivery.id)
        return { kind: 'refused', reason: 'the portal did not confirm its new token' };
      return { ...waits, untilMs: now };
    }
    // Another delivery of the same, or of another, installation: its turn comes when this one is decided.
    if (pending.deliveryId === delivery.id) {
      const refusal = await this.#ask(pending, signal);
      if (refusal !== undefined) {
        await this.#deps.confirmations.end(pending.claim.memberId);
        return { kind: 'refused', reason: refusal };
      }
    }
    return { ...waits, untilMs: Math.min(now + LOOK_EVERY_MS, pending.endsAtMs) };
  }

  /** Gives the reason where no answer can come, or where it would prove nothing. */
  async #ask(pending: Confirmation, signal: AbortSignal): Promise<string | undefined> {
    const { callAs, eventsUrl = '' } = this.#deps;
    const call = callOf(pending, signal);
    try {
      await callAs({ ...call, method: 'event.bind', params: { event: 'ONAPPTEST', handler: eventsUrl } }).catch(
        ofBinding,
      );
      const refusal = await this.#heardByOthers(pending, signal);
      if (refusal !== undefined) return refusal;
      await callAs({ ...call, method: 'event.test', params: { [NONCE_FIELD]: pending.nonce } });
      return undefined;
    } catch (error) {
      if (error instanceof JobError && error.verdict !== 'never') return undefined;
      if (error instanceof JobError) return `the portal: ${error.detail ?? error.code}`;
      throw error;
    }
  }

  /**
   * The nonce goes to every address that listens to ONAPPTEST. Whoever has an administrator's access token can bind one of his own,
   * and would then know what only the portal and we may know.
   */
  async #heardByOthers(pending: Confirmation, signal: AbortSignal): Promise<string | undefined> {
    const handlers = await this.#deps.callAs({ ...callOf(pending, signal), method: 'event.get', params: {} });
    const addresses = onlineHandlers(handlers)
      .filter(({ event }) => event === 'ONAPPTEST')
      .map(({ handler }) => handler);
    if (addresses.some((address) => address !== this.#deps.eventsUrl))
      return 'another address listens to ONAPPTEST there';
    return addresses.length === 0 ? 'ONAPPTEST could not be bound there' : undefined;
  }

  async #install(
    claim: InstallationClaim,
    facts: ProvenFacts,
    { isConfirmed }: { isConfirmed: boolean },
  ): Promise<void> {
    const { memberId } = claim;
    const isChanged = { token: false };
    await this.#deps.portals.update(memberId, (known) => {
      const portal = known ?? emptyPortal(memberId);
      // A token that the portal has not confirmed can be its first one, and never replaces another.
      isChanged.token = isConfirmed || portal.applicationTokens.length === 0;
      const nowMs = this.#deps.now();
      const tokens = portal.applicationTokens;
      const applicationTokens = isChanged.token ? withCurrent(tokens, claim.applicationToken, nowMs) : tokens;
      return { ...installed(portal, { claim, facts, nowMs }), applicationTokens };
    });
    this.#deps.logger.info({ event: 'portal.installed', memberId, domain: facts.domain }, 'installed, and proven');
    if (isChanged.token) await this.#deps.mismatches.lookAgain(memberId);
    await this.#deps.confirmations.end(memberId);
  }
}

function installed(
  portal: Portal,
  { claim, facts, nowMs }: { claim: InstallationClaim; facts: ProvenFacts; nowMs: number },
): Portal {
  const { accessToken, refreshToken } = claim;
  // By the clock, and so above those of an earlier installation, of which a pair may still lie on some disk.
  const generation = Math.max((portal.oauth?.generation ?? 0) + 1, nowMs);
  const { userId, ...places } = facts;
  return {
    ...portal,
    ...places,
    oauth: refreshToken === null ? portal.oauth : { accessToken, refreshToken, userId, generation },
    installedAtMs: Math.max(portal.installedAtMs, claim.receivedAtMs),
    installedTs: Math.max(portal.installedTs, claim.ts),
    suspension: null,
  };
}

/** The one that held until now still holds for what was received before. */
function withCurrent(tokens: readonly ApplicationToken[], token: string, nowMs: number): readonly ApplicationToken[] {
  const others = tokens
    .filter((known) => known.token !== token)
    .map((known) => ({ token: known.token, receivedBeforeMs: known.receivedBeforeMs ?? nowMs }));
  return [{ token, receivedBeforeMs: null }, ...others.slice(0, OLD_TOKENS_MAX)];
}

/** `event.test` sends its parameters back under QUERY. */
function nonceOf({ name, body }: Delivery): string | undefined {
  if (name !== 'ONAPPTEST' || body.state === 'quarantined') return undefined;
  const nonce = jsonField(jsonField(body.payload, 'QUERY'), NONCE_FIELD);
  return typeof nonce === 'string' ? nonce : undefined;
}

function callOf({ claim, facts }: Confirmation, signal: AbortSignal) {
  return { endpoint: new URL(facts.clientEndpoint), accessToken: claim.accessToken, signal };
}

/** It may be bound already, which is an error there. Where it is not, no answer will come, and that ends it. */
function ofBinding(error: unknown): null {
  if (error instanceof JobError && error.verdict !== 'later') return null;
  throw error;
}

function isEqual(one: string, other: string): boolean {
  return matchesAny(secretDigest(one), [secretDigest(other)]);
}
