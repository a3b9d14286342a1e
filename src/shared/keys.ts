/**
 * Every key in Redis that is not BullMQ's own. All begin with the prefix, whose braces put them and the queues into one slot
 * of a cluster, so that a script may touch several of them.
 */
export interface Keys {
  /** The claim on an event and the state of its effects. */
  event(eventId: string): string;
  /** One record per portal. */
  portal(memberId: string): string;
  /** Which connectors of a portal are on. */
  connectors(memberId: string): string;
  /** The jobs of one unknown portal that wait for its installation. */
  parkedOf(memberId: string): string;
  /** The places of all parked jobs, by the time until which they wait. */
  readonly parked: string;
  /** Jobs that waited in vain and are kept as failed, likewise. */
  readonly parkedInVain: string;
  /** The id of the key that seals. */
  readonly secretKeyId: string;
  /** Says that this Redis still holds what was put into it. */
  readonly dataMark: string;
}

export function createKeys(prefix: string): Keys {
  return {
    event: (eventId) => `${prefix}:event:${eventId}`,
    portal: (memberId) => `${prefix}:portal:${memberId}`,
    connectors: (memberId) => `${prefix}:connectors:${memberId}`,
    parkedOf: (memberId) => `${prefix}:parked-of:${memberId}`,
    parked: `${prefix}:parked`,
    parkedInVain: `${prefix}:parked-in-vain`,
    secretKeyId: `${prefix}:secret-key-id`,
    dataMark: `${prefix}:data-mark`,
  };
}
