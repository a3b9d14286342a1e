import { codeOfReason } from '../../shared/errors.js';
import type { Delivery } from '../../shared/delivery.js';
import { openQueue, type EffectJobData, type QueueName, type RejectedJobData } from '../../shared/queues.js';
import { agoOf, isoOrNull } from '../moment.js';
import type { OnRedis } from '../run-on-redis.js';
import { tableLines } from '../text-table.js';

export interface FailedOptions {
  readonly queues: readonly QueueName[];
  readonly limit: number;
  readonly json: boolean;
}

interface FailedJob {
  readonly queue: QueueName;
  readonly jobId: string;
  readonly failedAtMs: number;
  readonly reason: string;
  /** null for a delivery as a whole. */
  readonly effect: string | null;
  readonly event: string;
  readonly memberId: string;
  readonly receivedAtMs: number;
}

/** Few enough that no page of large events fills the memory. */
const PAGE = 20;

/** The newest first. */
export async function listFailed({ queues, limit, json }: FailedOptions, parts: OnRedis): Promise<number> {
  const { redis, config, write, signal } = parts;
  const failed: FailedJob[] = [];
  for (const name of queues) {
    const queue = openQueue<AnyJobData>(name, redis, config.queuePrefix);
    for (let first = 0; first < limit; first += PAGE) {
      signal.throwIfAborted();
      const jobs = await queue.getFailed(first, Math.min(first + PAGE, limit) - 1);
      failed.push(...jobs.flatMap((job) => failedJob(name, job)));
      if (jobs.length < PAGE) break;
    }
  }
  const newest = failed.toSorted((a, b) => b.failedAtMs - a.failedAtMs).slice(0, limit);
  if (json) write(JSON.stringify({ failed: newest.map(jsonOf) }));
  else for (const line of [...linesOf(newest), ...(await rejectedLines(queues, parts))]) write(line);
  return 0;
}

/** Who names no queue may look for what lies in the one that is left out. */
async function rejectedLines(queues: readonly QueueName[], { redis, config }: OnRedis): Promise<readonly string[]> {
  if (queues.length === 1) return [];
  const count = await openQueue('rejected', redis, config.queuePrefix).getFailedCount();
  return count === 0 ? [] : [`failed in rejected: ${count}; they are listed by: queue failed rejected`];
}

type AnyJobData = Delivery | EffectJobData | RejectedJobData;
type AnyJob = Awaited<ReturnType<ReturnType<typeof openQueue<AnyJobData>>['getFailed']>>[number];

/** None for one that was removed in between. */
function failedJob(queue: QueueName, job: AnyJob | undefined): readonly FailedJob[] {
  if (job?.id === undefined) return [];
  const { data } = job;
  const { auth, name, receivedAtMs } = 'delivery' in data ? data.delivery : data;
  const about = { event: name, memberId: auth.memberId, receivedAtMs, effect: 'effect' in data ? data.effect : null };
  return [{ queue, jobId: job.id, failedAtMs: job.finishedOn ?? 0, reason: job.failedReason ?? '', ...about }];
}

const HEADING = ['FAILED', 'RECEIVED', 'QUEUE', 'CODE', 'EFFECT', 'EVENT', 'MEMBER_ID', 'JOB'];

function linesOf(failed: readonly FailedJob[]): readonly string[] {
  if (failed.length === 0) return ['no failed job is kept'];
  const nowMs = Date.now();
  const rows = failed.map(({ queue, jobId, failedAtMs, reason, effect, event, memberId, receivedAtMs }) => [
    agoOf(failedAtMs, nowMs),
    agoOf(receivedAtMs, nowMs),
    queue,
    codeOfReason(reason),
    effect ?? '-',
    event,
    memberId || '-',
    jobId,
  ]);
  return tableLines([HEADING, ...rows]);
}

function jsonOf({ queue, jobId, failedAtMs, reason, ...about }: FailedJob): Record<string, unknown> {
  return {
    queue,
    job_id: jobId,
    failed_at: isoOrNull(failedAtMs),
    received_at: isoOrNull(about.receivedAtMs),
    code: codeOfReason(reason),
    reason,
    effect: about.effect,
    event: about.event,
    member_id: about.memberId,
  };
}
