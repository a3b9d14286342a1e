import { Queue, type Telemetry } from 'bullmq';
import type { Delivery } from './delivery.js';
import type { Redis } from './redis.js';

/**
 * The three queues. `deliveries`: a job for each POST. `effects`: a job for each effect that failed in its delivery's job and is
 * tried again. `rejected`: forgeries, capped, in a queue of their own so that they never push a true failure out.
 */
export const QUEUE_NAMES = ['deliveries', 'effects', 'rejected'] as const;

export type QueueName = (typeof QUEUE_NAMES)[number];

/** A queue of one worker alone, through which it sends a job now and then to see that jobs still go through. */
export type ProbeQueueName = `probe-${string}`;

export type DeliveryQueue = Queue<Delivery, Outcome>;
export type EffectQueue = Queue<EffectJobData, Outcome>;
export type RejectedQueue = Queue<RejectedJobData, Outcome>;
export type ProbeQueue = Queue<ProbeJobData, Outcome>;

/** What a job answers when it is done; stored with it, so it says no more than this. */
export interface Outcome {
  readonly outcome: 'done' | 'retrying' | 'duplicate' | 'rejected' | 'cancelled';
}

/** The data of a job in `effects`. */
export interface EffectJobData {
  readonly delivery: Delivery;
  /** The delivery's own, or that of a later twin of an event that only points. */
  readonly eventId: string;
  readonly effect: string;
  /** Attempts that were made before this job was. */
  readonly attemptsBefore: number;
  /** Set where the first attempt said *never*: the job is there to be seen and retried by a person, and fails with this reason at first. */
  readonly givenUp?: string;
}

/** The data of a job in `rejected`; of a large delivery only the head. */
export interface RejectedJobData {
  readonly delivery: Delivery | Omit<Delivery, 'body' | 'seal'>;
  readonly reason: string;
}

/** The data of a job in a probe queue: nothing. */
export type ProbeJobData = Record<string, never>;

/**
 * Stored with every job, so as short as can be. The attempts are for one case alone: Redis refuses to note that a job is done, and
 * BullMQ would take that for a failure of the job. What a job's own work comes to is decided by its processor.
 */
export const DELIVERY_JOB_OPTIONS = { attempts: 100 } as const;

/**
 * The job of an effect, the same for every attempt to hand it over: adding it twice adds it once. The delivery is part of it,
 * because a finished job of an earlier delivery may still be kept when the event itself is no longer remembered.
 */
export function effectJobId(eventId: string, effect: string, deliveryId: string): string {
  return `${eventId}.${effect}.${deliveryId}`;
}

/**
 * A queue to add to. It neither waits for the connection nor asks for the server's version: either would hang while Redis is
 * down, and the second spoils the object for good.
 */
export function openQueue<Data>(name: QueueName | ProbeQueueName, redis: Redis, prefix: string): Queue<Data, Outcome> {
  return openTracedQueue(name, { redis, prefix, telemetry: undefined });
}

/** The same; what is added to it goes on in the trace that is under way. */
export function openTracedQueue<Data>(
  name: QueueName | ProbeQueueName,
  { redis, prefix, telemetry }: { redis: Redis; prefix: string; telemetry: Telemetry | undefined },
): Queue<Data, Outcome> {
  const queue = new Queue<Data, Outcome>(name, {
    connection: redis,
    prefix,
    skipWaitingForReady: true,
    skipVersionCheck: true,
    skipMetasUpdate: true,
    ...(telemetry && { telemetry }),
  });
  // The connection tells of its errors itself (redis.ts); an emitter without a listener would end the process.
  queue.on('error', () => undefined);
  return queue;
}
