import { bareAuth } from '../shared/bitrix24/open-auth.js';
import type { Delivery } from '../shared/delivery.js';
import type { PortalStore } from '../shared/portals.js';

/**
 * What stays of a delivery whose portal is gone by the wish of its user: its job says what became of it, and nothing of the portal.
 */
export function erased(delivery: Delivery): Delivery {
  const { v, id, eventId, receivedAtMs, name, handlerId, ts } = delivery;
  const body = { state: 'open', payload: null } as const;
  return { v, id, eventId, receivedAtMs, name, handlerId, ts, auth: bareAuth(''), body, seal: '', bytes: 0 };
}

/** The same of the delivery that removed its portal, once it has done so; undefined for all others. */
export async function erasedAfterRemoval(
  portals: Pick<PortalStore, 'look'>,
  delivery: Delivery,
): Promise<Delivery | undefined> {
  if (delivery.name !== 'ONAPPUNINSTALL') return undefined;
  const { removal } = await portals.look(delivery.auth.memberId);
  return removal?.isClean === true && removal.deliveryId === delivery.id ? erased(delivery) : undefined;
}
