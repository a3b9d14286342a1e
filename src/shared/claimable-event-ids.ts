/** Later twins of one event within its second that are told apart by a count; further ones by their delivery. */
const TWINS_COUNTED_MAX = 16;

/**
 * The ids under which a delivery may claim its event, in this order: where the event only points at an entity and has come before, it
 * is `id~1`, `id~2`, …, and at last one that no other delivery claims.
 */
export function* claimableEventIds(eventId: string, deliveryId: string): Generator<string, void> {
  yield eventId;
  for (let twin = 1; twin < TWINS_COUNTED_MAX; twin += 1) yield `${eventId}~${twin}`;
  yield `${eventId}~${deliveryId}`;
}
