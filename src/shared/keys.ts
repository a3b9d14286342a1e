import { createHash } from 'node:crypto';

/**
 * Every key in Redis that is not BullMQ's own. All begin with the prefix, whose braces put them and the queues into one slot
 * of a cluster, so that a script may touch several of them.
 */
export interface Keys {
  /** The claim on an event and the state of its effects. */
  event(eventId: string): string;
  /** What is known of the steps of a handler's runs for one event. */
  once(eventId: string, effect: string): string;
  /** One record per portal. */
  portal(memberId: string): string;
  /** The ids of all portals that have a record. */
  readonly portals: string;
  /** Says that a portal was removed, and when; without its id, so that nothing of it is left. */
  portalRemoved(memberId: string): string;
  /** A new application token that the portal itself has yet to confirm. */
  confirmation(memberId: string): string;
  /** Says that an installation of this portal is being proven. */
  proofUnderWay(memberId: string): string;
  /** Jobs of this portal that were rejected lately for their token, by the time. */
  mismatchesOf(memberId: string): string;
  /** Jobs that wait until this portal can be called again. */
  waitingFor(memberId: string): string;
  /** Counts the proofs of this portal's installations; without its id, for it outlives the portal. */
  proofsOf(memberId: string, source: string): string;
  /** Counts the proofs of all portals. */
  readonly proofsInAll: string;
  /** Names of events that handlers ask for: those of the worker with handlers that was started last. */
  readonly handledEvents: string;
  /** Which connectors of a portal are on. */
  connectors(memberId: string): string;
  /** The jobs of one unknown portal that wait for its installation. */
  parkedOf(memberId: string): string;
  /** The same for what waits apart from events: installations that are not proven yet, by how they came. */
  parkedInstallations(source: 'event' | 'page'): Pick<Keys, 'parkedOf' | 'parked' | 'parkedInVain'>;
  /** All that holds parked jobs of one portal, whatever they wait for. */
  everyParkedOf(memberId: string): readonly string[];
  /** The places of all parked jobs, by the time until which they wait. */
  readonly parked: string;
  /** Jobs that waited in vain and are kept as failed, likewise. */
  readonly parkedInVain: string;
  /** How much of a portal's REST budget is used, who waits in line for it, and which of its methods rest. */
  restBudget(memberId: string): string;
  /** Until when each place in that line is kept. */
  restPlaces(memberId: string): string;
  /** Held by the one process that renews the tokens of a portal. */
  renewalLock(memberId: string): string;
  /** A word that `doctor` waits for. */
  echo(word: string): string;
  /** Written and removed by `doctor`, to see whether Redis takes writes. */
  doctorProbe(id: string): string;
  /** Which processes see an alert, and which of them tells of it. */
  alert(name: string): string;
  /** The workers that live, by the time of their last word. */
  readonly workers: string;
  /** Written every few seconds, to see whether Redis takes writes. */
  readonly writeTrial: string;
  /** The id of the key that seals. */
  readonly secretKeyId: string;
  /** Says that this Redis still holds what was put into it. */
  readonly dataMark: string;
}

export function createKeys(prefix: string): Keys {
  const parkedOf: Keys['parkedOf'] = (memberId) => `${prefix}:parked-of:${memberId}`;
  const parkedInstallations: Keys['parkedInstallations'] = (source) => ({
    parkedOf: (memberId) => `${prefix}:parked-installations:${source}:of:${memberId}`,
    parked: `${prefix}:parked-installations:${source}`,
    parkedInVain: `${prefix}:parked-installations:${source}:in-vain`,
  });
  return {
    event: (eventId) => `${prefix}:event:${eventId}`,
    once: (eventId, effect) => `${prefix}:once:${eventId}:${effect}`,
    portal: (memberId) => `${prefix}:portal:${memberId}`,
    portals: `${prefix}:portals`,
    portalRemoved: (memberId) => `${prefix}:portal-removed:${anonymous(memberId)}`,
    confirmation: (memberId) => `${prefix}:confirmation:${memberId}`,
    proofUnderWay: (memberId) => `${prefix}:proof-under-way:${memberId}`,
    mismatchesOf: (memberId) => `${prefix}:mismatches-of:${memberId}`,
    waitingFor: (memberId) => `${prefix}:waiting-for:${memberId}`,
    proofsOf: (memberId, source) => `${prefix}:proofs-of:${source}:${anonymous(memberId)}`,
    proofsInAll: `${prefix}:proofs-in-all`,
    handledEvents: `${prefix}:handled-events`,
    connectors: (memberId) => `${prefix}:connectors:${memberId}`,
    parkedOf,
    parkedInstallations,
    everyParkedOf: (memberId) => [
      parkedOf(memberId),
      ...(['event', 'page'] as const).map((source) => parkedInstallations(source).parkedOf(memberId)),
    ],
    parked: `${prefix}:parked`,
    parkedInVain: `${prefix}:parked-in-vain`,
    restBudget: (memberId) => `${prefix}:rest-budget:${memberId}`,
    restPlaces: (memberId) => `${prefix}:rest-places:${memberId}`,
    renewalLock: (memberId) => `${prefix}:renewal-lock:${memberId}`,
    echo: (word) => `${prefix}:echo:${word}`,
    doctorProbe: (id) => `${prefix}:doctor-probe:${id}`,
    alert: (name) => `${prefix}:alert:${name}`,
    workers: `${prefix}:workers`,
    writeTrial: `${prefix}:write-trial`,
    secretKeyId: `${prefix}:secret-key-id`,
    dataMark: `${prefix}:data-mark`,
  };
}

/** Tells portals apart without naming them. */
function anonymous(memberId: string): string {
  return createHash('sha256').update(memberId).digest('hex').slice(0, 32);
}
