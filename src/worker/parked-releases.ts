import { errorMessage } from '../shared/caught-error.js';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../shared/logger.js';
import { portalSavedChannel } from '../shared/portals.js';
import type { DeliveryQueue } from '../shared/queues.js';
import type { Redis } from '../shared/redis.js';
import type { ParkingLot } from './parking-lot.js';

/**
 * Releases the parked events of a portal as soon as one of our processes says that it is known. A message that is lost costs no
 * event: each parked one is looked at every minute besides.
 */
export interface ParkedReleases {
  stop(): void;
}

export interface ParkedReleasesDeps {
  readonly redis: Redis;
  readonly prefix: string;
  readonly queue: DeliveryQueue;
  readonly parking: ParkingLot;
  readonly logger: Logger;
}

/** A job that is just being parked cannot be promoted yet. */
const TRIES = 5;
const TRY_EVERY_MS = 300;

export async function startParkedReleases(deps: ParkedReleasesDeps): Promise<ParkedReleases> {
  // A connection that subscribes can do nothing else.
  const subscriber = deps.redis.duplicate();
  subscriber.on('error', () => undefined);
  subscriber.on('message', (_channel, memberId) => {
    release(deps, memberId).catch((error: unknown) => {
      const reason = errorMessage(error);
      deps.logger.warn({ event: 'parked.not_released', memberId, reason }, 'looked at again within a minute');
    });
  });
  await subscriber.subscribe(portalSavedChannel(deps.prefix));
  return { stop: () => subscriber.disconnect() };
}

async function release(deps: ParkedReleasesDeps, memberId: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const jobIds = await deps.parking.jobsOf(memberId);
    if (jobIds.length === 0) return;
    for (const jobId of jobIds) {
      const job = await deps.queue.getJob(jobId);
      // Every worker is told, and one of them is first: that a job is not delayed any more is no fault.
      await job?.promote().catch((error: unknown) => {
        if (!/is not in the \w+ state|Missing key/.test(errorMessage(error))) throw error;
      });
    }
    await sleep(TRY_EVERY_MS);
  }
}
