import { createHash, timingSafeEqual } from 'node:crypto';
import type { Delivery, Secrets } from '../shared/delivery.js';
import type { PortalStore } from '../shared/portals.js';
import type { Sealer } from '../shared/sealer.js';
import { openSecrets } from '../shared/delivery-seal.js';

declare const verified: unique symbol;

/** A delivery whose token was found to be its portal's. Only {@link createVerifier} makes one: the check cannot be forgotten. */
export type VerifiedDelivery = Delivery & { readonly [verified]: true };

export type Verification =
  | { readonly kind: 'verified'; readonly delivery: VerifiedDelivery; readonly secrets: Secrets }
  | { readonly kind: 'forged' }
  /** Nothing is known of this portal, perhaps not yet: the installation may come after the first event. */
  | { readonly kind: 'portal-unknown' };

export interface Verifier {
  verify(delivery: Delivery): Promise<Verification>;
  /** For a job that was made out of a verified delivery: its token is not looked at again, for it may have been replaced since. */
  verifiedBefore(delivery: Delivery): { readonly delivery: VerifiedDelivery; readonly secrets: Secrets };
}

export interface VerifierDeps {
  /** By member_id; `*` for portals that have no entry of their own and are not installed. */
  readonly applicationTokens: ReadonlyMap<string, readonly string[]>;
  readonly portals: Pick<PortalStore, 'find'>;
  readonly sealer: Sealer;
}

/** https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html: `application_token` is the only proof of the sender. */
export function createVerifier(deps: VerifierDeps): Verifier {
  const configured = new Map([...deps.applicationTokens].map(([memberId, tokens]) => [memberId, tokens.map(digest)]));

  return {
    async verify(delivery) {
      const secrets = openSecrets(deps.sealer, delivery);
      const expected = await expectedDigests(delivery);
      if (!expected) return { kind: 'portal-unknown' };
      const token = secrets.auth.application_token;
      if (typeof token !== 'string' || !matchesAny(digest(token), expected)) return { kind: 'forged' };
      return { kind: 'verified', delivery: brand(delivery), secrets };
    },
    verifiedBefore(delivery) {
      return { delivery: brand(delivery), secrets: openSecrets(deps.sealer, delivery) };
    },
  };

  async function expectedDigests(delivery: Delivery): Promise<readonly Buffer[] | undefined> {
    const own = configured.get(delivery.auth.memberId) ?? [];
    const portal = await deps.portals.find(delivery.auth.memberId);
    const installed =
      portal?.applicationTokens.filter(
        (token) => token.receivedBeforeMs === null || delivery.receivedAtMs < token.receivedBeforeMs,
      ) ?? [];
    const known = [...own, ...installed.map(({ token }) => digest(token))];
    // A portal that has tokens of its own, even if all of them were replaced, is not opened by the one for all.
    if (known.length > 0 || portal) return known;
    return configured.get('*');
  }
}

function brand(delivery: Delivery): VerifiedDelivery {
  return delivery as VerifiedDelivery;
}

/** Hashes are of one length, so that the comparison tells nothing of the token's. */
function digest(token: string): Buffer {
  return createHash('sha256').update(token, 'utf8').digest();
}

/** Looks at all of them, whichever fits, so that the time does not tell which. */
function matchesAny(actual: Buffer, expected: readonly Buffer[]): boolean {
  let found = false;
  for (const candidate of expected) found = timingSafeEqual(actual, candidate) || found;
  return found;
}
