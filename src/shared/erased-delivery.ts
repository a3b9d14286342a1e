import { bareAuth } from './bitrix24/open-auth.js';
import type { Delivery } from './delivery.js';

type Head = Pick<Delivery, 'v' | 'id' | 'eventId' | 'receivedAtMs' | 'name' | 'handlerId' | 'ts'>;

/**
 * What stays of a delivery whose portal is gone by the wish of its user: its job says what became of it, and nothing of the portal.
 */
export function erased({ v, id, eventId, receivedAtMs, name, handlerId, ts }: Head): Delivery {
  const body = { state: 'open', payload: null } as const;
  return { v, id, eventId, receivedAtMs, name, handlerId, ts, auth: bareAuth(NOBODY), body, seal: '', bytes: 0 };
}

/** Nothing can be done about it any more. */
export function isErased({ auth }: { readonly auth: Pick<Delivery['auth'], 'memberId'> }): boolean {
  return auth.memberId === NOBODY;
}

/** No id of a portal: those have at least one letter. */
const NOBODY = '';
