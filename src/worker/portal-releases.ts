import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage } from '../shared/caught-error.js';
import type { Logger } from '../shared/logger.js';
import { portalChangedChannel, type PortalStore } from '../shared/portals.js';
import type { DeliveryQueue, EffectQueue } from '../shared/queues.js';
import { duplicateOf, type Redis } from '../shared/redis.js';
import type { RestStack } from '../shared/rest-stack.js';
import type { ParkingLots } from './parking-lots.js';
import { promoted } from './moved-job.js';
import type { WaitingForPortal } from './waiting-for-portal.js';

/**
 * Releases what waits for a portal as soon as one of our processes says that its record changed: the parked events, and the effects
 * that wait for the end of a suspension. A message that is lost costs nothing: each of them looks again by itself.
 */
export interface PortalReleases {
  stop(): void;
}

export interface PortalReleasesDeps {
  readonly redis: Redis;
  readonly prefix: string;
  readonly deliveryQueue: DeliveryQueue;
  readonly effectQueue: EffectQueue;
  readonly parking: Pick<ParkingLots, 'jobsOf'>;
  readonly waiting: Pick<WaitingForPortal, 'jobsOf' | 'leave'>;
  readonly portals: Pick<PortalStore, 'find' | 'look'>;
  /** Each worker keeps renewed tokens on a disk of its own. */
  readonly rest: Pick<RestStack, 'renewals'> | undefined;
  readonly logger: Logger;
}

/** A job that is just being put off, or added, cannot be promoted yet. */
const TRIES = 5;
const TRY_EVERY_MS = 300;

export async function startPortalReleases(deps: PortalReleasesDeps): Promise<PortalReleases> {
  // A connection that subscribes can do nothing else.
  const subscriber = duplicateOf(deps.redis);
  subscriber.on('error', () => undefined);
  subscriber.on('message', (_channel: string, memberId: string) => {
    Promise.all([releaseParked(deps, memberId), releaseWaiting(deps, memberId), forgetRemoved(deps, memberId)]).catch(
      (error: unknown) => {
        const reason = errorMessage(error);
        deps.logger.warn({ event: 'portal.not_released', memberId, reason }, 'what waits for it looks again by itself');
      },
    );
  });
  await subscriber.subscribe(portalChangedChannel(deps.prefix));
  return { stop: () => subscriber.disconnect() };
}

async function forgetRemoved({ portals, rest }: PortalReleasesDeps, memberId: string): Promise<void> {
  const { portal, removal } = await portals.look(memberId);
  if (!portal && removal) await rest?.renewals.forget(memberId);
}

async function releaseParked(deps: PortalReleasesDeps, memberId: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const jobIds = await deps.parking.jobsOf(memberId);
    if (jobIds.length === 0) return;
    for (const job of await inOrder(deps.deliveryQueue, jobIds)) await promoted(job);
    await sleep(TRY_EVERY_MS);
  }
}

async function releaseWaiting(deps: PortalReleasesDeps, memberId: string): Promise<void> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const jobIds = await deps.waiting.jobsOf(memberId);
    if (jobIds.length === 0 || (await deps.portals.find(memberId))?.suspension) return;
    const released: string[] = [];
    for (const jobId of jobIds) {
      const job = await deps.effectQueue.getJob(jobId);
      if ((job && (await promoted(job))) || tries === TRIES - 1) released.push(jobId);
    }
    await deps.waiting.leave(memberId, released);
    await sleep(TRY_EVERY_MS);
  }
}

type DeliveryJob = NonNullable<Awaited<ReturnType<DeliveryQueue['getJob']>>>;

/** In the order in which their POSTs came. */
async function inOrder(queue: DeliveryQueue, jobIds: readonly string[]): Promise<readonly DeliveryJob[]> {
  const jobs: DeliveryJob[] = [];
  for (const jobId of jobIds) {
    const job = await queue.getJob(jobId);
    if (job) jobs.push(job);
  }
  return jobs.toSorted((a, b) => a.data.receivedAtMs - b.data.receivedAtMs);
}
