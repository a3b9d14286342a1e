import type { Queue } from 'bullmq';
import { withTimeLimit } from './time-limit.js';

/** A look at a queue, which costs Redis the same however many jobs there are. */
export interface QueueCounts {
  readonly queue: string;
  /** Ready to be taken, those of a paused queue among them. */
  readonly waiting: number;
  readonly active: number;
  readonly delayed: number;
  readonly failed: number;
  readonly completed: number;
  readonly isPaused: boolean;
  /** Since when the job waits that is taken next: a delivery since its receipt, a retried job since its last run began. */
  readonly oldestWaitingAtMs: number | undefined;
  /** When the first delayed job is due, or was. */
  readonly firstDueAtMs: number | undefined;
}

const TIMEOUT_MS = 3000;
/** BullMQ puts a job's time in ms into the upper bits of its score in `delayed`. */
const SCORES_PER_MS = 0x1000;

/** Rejects within three seconds where Redis does not answer. */
export function readQueueCounts(queue: AnyQueue): Promise<QueueCounts> {
  return withTimeLimit(read(queue), TIMEOUT_MS, `the look at the queue ${queue.name}`);
}

type AnyQueue = Pick<Queue, 'name' | 'backend' | 'toKey' | 'getJobCounts' | 'isPaused'>;

async function read(queue: AnyQueue): Promise<QueueCounts> {
  const [counts, isPaused, oldestWaitingAtMs, firstDueAtMs] = await Promise.all([
    queue.getJobCounts('wait', 'prioritized', 'active', 'delayed', 'failed', 'completed'),
    queue.isPaused(),
    readOldestWaiting(queue),
    readFirstDue(queue),
  ]);
  const { wait = 0, prioritized = 0, active = 0, delayed = 0, failed = 0, completed = 0 } = counts;
  const waiting = wait + prioritized;
  return { queue: queue.name, waiting, active, delayed, failed, completed, isPaused, oldestWaitingAtMs, firstDueAtMs };
}

/** Jobs are taken from the end of the list, and from the prioritized ones when it is empty. */
async function readOldestWaiting(queue: AnyQueue): Promise<number | undefined> {
  const client = await queue.backend.client;
  const [next = (await client.zrange(queue.toKey('prioritized'), 0, 0))[0]] = await client.lrange(
    queue.toKey('wait'),
    -1,
    -1,
  );
  if (next === undefined) return undefined;
  const times = await client.hmget(queue.toKey(next), 'timestamp', 'processedOn');
  const sinceMs = Math.max(...times.map(Number));
  // It was taken, and perhaps forgotten, in between.
  return sinceMs > 0 ? sinceMs : undefined;
}

async function readFirstDue(queue: AnyQueue): Promise<number | undefined> {
  const client = await queue.backend.client;
  const [, score] = await client.zrange(queue.toKey('delayed'), 0, 0, { WITHSCORES: true });
  return score === undefined ? undefined : Math.floor(Number(score) / SCORES_PER_MS);
}
