import type { Claim, ClaimRequest, Claims } from './claims.js';

/** Later twins of one event within its second that are told apart by a count; further ones by their delivery. */
const TWINS_COUNTED_MAX = 16;

/**
 * Claims an event for a delivery. A later twin of an event that only points at an entity tells of a later change of it, so it is
 * an event of its own, with an id of its own: `id~1`, `id~2`, … A second run of a delivery finds the id that it claimed before.
 */
export async function claimEvent(
  claims: Claims,
  request: ClaimRequest,
): Promise<Exclude<Claim, { kind: 'later-twin' }> & { readonly eventId: string }> {
  for (let twin = 0; ; twin += 1) {
    const eventId =
      twin === 0 ? request.eventId : `${request.eventId}~${twin < TWINS_COUNTED_MAX ? twin : request.deliveryId}`;
    const claim = await claims.claim({ ...request, eventId });
    if (claim.kind !== 'later-twin') return { ...claim, eventId };
  }
}
