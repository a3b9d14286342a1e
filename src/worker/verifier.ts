import type { Delivery, Secrets } from '../shared/delivery.js';
import type { Portal, PortalStore, Removal } from '../shared/portals.js';
import type { Sealer } from '../shared/sealer.js';
import { openSecrets } from '../shared/delivery-seal.js';
import { matchesAny, secretDigest } from '../shared/secret-digest.js';
import { installationClaimOf, type InstallationClaim } from './installation/installation-claim.js';

declare const verified: unique symbol;

/** A delivery whose token was found to be its portal's. Only {@link createVerifier} makes one: the check cannot be forgotten. */
export type VerifiedDelivery = Delivery & { readonly [verified]: true };

export type Verification =
  | { readonly kind: 'verified'; readonly delivery: VerifiedDelivery; readonly secrets: Secrets }
  /** An installation or update with a token that is not known: Bitrix24 itself must say whether it is true. */
  | { readonly kind: 'unproven'; readonly claim: InstallationClaim }
  | { readonly kind: 'forged' }
  /** Nothing is known of this portal, perhaps not yet: the installation may come after the first event. */
  | { readonly kind: 'portal-unknown' }
  /** The app was removed from its portal after it came. */
  | { readonly kind: 'cancelled'; readonly removal: Removal };

export interface Verifier {
  verify(delivery: Delivery): Promise<Verification>;
  /** For a job that was made out of a verified delivery: its token is not looked at again, for it may have been replaced since. */
  verifiedBefore(delivery: Delivery): { readonly delivery: VerifiedDelivery; readonly secrets: Secrets };
  /** What it carried sealed, whoever sent it. */
  secretsOf(delivery: Delivery): Secrets;
  /** The removal of the app from its portal, where it came after this delivery. */
  removalAfter(delivery: Delivery): Promise<Removal | undefined>;
}

export interface VerifierDeps {
  /** By member_id; `*` for portals that have no entry of their own and are not installed. */
  readonly applicationTokens: ReadonlyMap<string, readonly string[]>;
  readonly portals: Pick<PortalStore, 'look'>;
  readonly sealer: Sealer;
  /** Whether installations can be proven; without that, only APPLICATION_TOKENS makes a portal known. */
  readonly canProve?: boolean;
}

/** https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html: `application_token` is the only proof of the sender. */
export function createVerifier(deps: VerifierDeps): Verifier {
  const configured = new Map(
    [...deps.applicationTokens].map(([memberId, tokens]) => [memberId, tokens.map(secretDigest)]),
  );
  const canProve = deps.canProve ?? false;

  return {
    async verify(delivery) {
      const secrets = openSecrets(deps.sealer, delivery);
      const { memberId } = delivery.auth;
      const known = { own: configured.get(memberId), ...(await deps.portals.look(memberId)) };
      // A portal of the environment outlives the removal of the app.
      if (known.removal && !known.own) {
        if (known.removal.deliveryId === delivery.id) return { kind: 'verified', delivery: brand(delivery), secrets };
        if (isBefore(delivery, known.removal) || isRemovalAgain(delivery, known.portal))
          return { kind: 'cancelled', removal: known.removal };
      }
      const isKnown = known.own !== undefined || known.portal !== undefined;
      const tokens = tokensFor(delivery, known);
      if (isTrue(delivery, secrets, { isKnown, tokens }))
        return { kind: 'verified', delivery: brand(delivery), secrets };
      const claim = canProve ? installationClaimOf(delivery, secrets) : undefined;
      if (claim) return { kind: 'unproven', claim };
      // Where installations are proven the token for all is not the last word on a portal: it may be installed yet.
      return isKnown || (tokens.length > 0 && !canProve) ? { kind: 'forged' } : { kind: 'portal-unknown' };
    },
    verifiedBefore(delivery) {
      return { delivery: brand(delivery), secrets: openSecrets(deps.sealer, delivery) };
    },
    secretsOf: (delivery) => openSecrets(deps.sealer, delivery),
    async removalAfter(delivery) {
      if (configured.has(delivery.auth.memberId)) return undefined;
      const { removal } = await deps.portals.look(delivery.auth.memberId);
      return removal && removal.deliveryId !== delivery.id && isBefore(delivery, removal) ? removal : undefined;
    },
  };

  function tokensFor(delivery: Delivery, { own, portal }: Known): readonly Buffer[] {
    // A portal that has tokens of its own, even if all of them were replaced, is not opened by the one for all.
    if (!own && !portal) return configured.get('*') ?? [];
    const installed = portal?.applicationTokens.filter(
      ({ receivedBeforeMs }) => receivedBeforeMs === null || delivery.receivedAtMs < receivedBeforeMs,
    );
    return [...(own ?? []), ...(installed ?? []).map(({ token }) => secretDigest(token))];
  }
}

interface Known {
  readonly own: readonly Buffer[] | undefined;
  readonly portal: Portal | undefined;
  readonly removal: Removal | undefined;
}

function isTrue(
  delivery: Delivery,
  secrets: Secrets,
  { isKnown, tokens }: { isKnown: boolean; tokens: readonly Buffer[] },
): boolean {
  // The ingress has checked its signature; what is left to ask is whether there is such a portal.
  if (delivery.source === 'incoming') return isKnown || tokens.length > 0;
  const token = secrets.auth.application_token;
  return typeof token === 'string' && matchesAny(secretDigest(token), tokens);
}

function isBefore(delivery: Delivery, removal: Removal): boolean {
  return delivery.receivedAtMs < removal.receivedAtMs;
}

/** A repeated removal of what is not there any more; its token cannot be compared with anything. */
function isRemovalAgain(delivery: Delivery, portal: Portal | undefined): boolean {
  return delivery.name === 'ONAPPUNINSTALL' && portal === undefined;
}

function brand(delivery: Delivery): VerifiedDelivery {
  return delivery as VerifiedDelivery;
}
