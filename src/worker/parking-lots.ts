import type { Delivery } from '../shared/delivery.js';
import { createParkingLot, type ParkingDeps, type ParkingLot } from './parking-lot.js';
import { isInstallation } from './installation/installation-claim.js';
import type { Keys } from '../shared/keys.js';

/**
 * Installations wait apart from events, and those of the page apart from those that were posted as events: however many of one kind
 * strangers post, they take no place from the others.
 */
export interface ParkingLots {
  lotOf(delivery: Pick<Delivery, 'name' | 'source'>): ParkingLot;
  /** All that waits for a portal, in no order. */
  jobsOf(memberId: string): Promise<readonly string[]>;
}

export function createParkingLots(deps: Omit<ParkingDeps, 'keys'> & { readonly keys: Keys }): ParkingLots {
  const { keys } = deps;
  const events = createParkingLot(deps);
  const installations = createParkingLot({ ...deps, keys: keys.parkedInstallations('event') });
  const pages = createParkingLot({ ...deps, keys: keys.parkedInstallations('page') });
  return {
    lotOf({ name, source }) {
      if (source === 'page') return pages;
      return isInstallation(name) ? installations : events;
    },
    async jobsOf(memberId) {
      return (await Promise.all([installations, pages, events].map((lot) => lot.jobsOf(memberId)))).flat();
    },
  };
}
