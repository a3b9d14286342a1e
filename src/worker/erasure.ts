import { claimableEventIds } from '../shared/claimable-event-ids.js';
import type { Delivery } from '../shared/delivery.js';
import { erased } from '../shared/erased-delivery.js';
import type { PortalStore, Removal } from '../shared/portals.js';
import type { JobResult } from '../shared/queues-consumer.js';
import type { Effect } from './effects/effect.js';

/** How a delivery ends whose portal is gone: without a reason, for that may tell of the event. */
export function cancelled(delivery: Delivery, { isClean }: Removal): JobResult<unknown> {
  return { kind: 'finished', outcome: 'cancelled', ...(isClean && { data: erased(delivery) }) };
}

/** What is cancelled never runs again: nothing of the steps of its effects is needed any more, whatever id its event had. */
export async function forgetSteps({ eventId, id }: Delivery, effects: readonly Effect[]): Promise<void> {
  for (const each of claimableEventIds(eventId, id))
    await Promise.all(effects.map(async (effect) => effect.afterDone?.(each)));
}

/** What stays of the delivery that removed its portal, once it has done so; undefined for all others. */
export async function erasedAfterRemoval(
  portals: Pick<PortalStore, 'look'>,
  delivery: Delivery,
): Promise<Delivery | undefined> {
  if (delivery.name !== 'ONAPPUNINSTALL') return undefined;
  const { removal } = await portals.look(delivery.auth.memberId);
  return removal?.isClean === true && removal.deliveryId === delivery.id ? erased(delivery) : undefined;
}
