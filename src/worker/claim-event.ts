import { claimableEventIds } from '../shared/claimable-event-ids.js';
import type { Claim, ClaimRequest, Claims } from './claims.js';

/**
 * Claims an event for a delivery. A later twin of an event that only points at an entity tells of a later change of it, so it is
 * an event of its own, with an id of its own: `id~1`, `id~2`, … A second run of a delivery finds the id that it claimed before.
 */
export async function claimEvent(
  claims: Claims,
  request: ClaimRequest,
): Promise<Exclude<Claim, { kind: 'later-twin' }> & { readonly eventId: string }> {
  for (const eventId of claimableEventIds(request.eventId, request.deliveryId)) {
    const claim = await claims.claim({ ...request, eventId });
    if (claim.kind !== 'later-twin') return { ...claim, eventId };
  }
  throw new Error('the last id is of this delivery alone, so nothing can be claimed under it before');
}
