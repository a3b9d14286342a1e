import type { BitrixEvent } from './event.js';

const MS_PER_SECOND = 1000;

/** The body that the forward effect sends for an event, as JSON. No token of any kind is in it. */
export function forwardBody({ name, ts, auth, handlerId, payload }: BitrixEvent): string {
  return JSON.stringify({
    type: name,
    timestamp: new Date(ts * MS_PER_SECOND).toISOString(),
    data: {
      member_id: auth.memberId,
      domain: auth.domain,
      event_handler_id: handlerId,
      user_id: auth.userId,
      payload,
    },
  });
}
