import { liveWorkers, type LiveWorker } from '../../shared/live-workers.js';
import { readQueueCounts, type QueueCounts } from '../../shared/queue-counts.js';
import { openQueue, QUEUE_NAMES } from '../../shared/queues.js';
import { isoOrNull, spanOf } from '../moment.js';
import type { OnRedis } from '../run-on-redis.js';
import { plainText, tableLines } from '../text-table.js';

export async function countQueues({ json }: { readonly json: boolean }, parts: OnRedis): Promise<number> {
  const { redis, keys, config, write } = parts;
  const [workers, ...counts] = await Promise.all([
    liveWorkers({ redis, keys }),
    ...QUEUE_NAMES.map((name) => readQueueCounts(openQueue(name, redis, config.queuePrefix))),
  ]);
  if (json) write(JSON.stringify({ queues: counts.map(jsonOf), workers: workers.map(workerJson) }));
  else for (const line of linesOf(counts, workers)) write(line);
  return 0;
}

const HEADING = ['QUEUE', 'WAITING', 'ACTIVE', 'DELAYED', 'FAILED', 'COMPLETED', 'OLDEST WAITS', 'PAUSED'];

function linesOf(counts: readonly QueueCounts[], workers: readonly LiveWorker[]): readonly string[] {
  const nowMs = Date.now();
  const names = workers.map(({ host, pid }) => `${plainText(host)} (${pid})`).join(', ');
  return [
    ...tableLines([HEADING, ...counts.map((count) => rowOf(count, nowMs))]),
    workers.length === 0
      ? 'no worker has told of itself lately: none runs, or one of an older release, which does not tell'
      : `workers alive: ${workers.length}: ${names}`,
    'Events that an ingress has yet to hand over are in its journal: b24_journal_records at its /metrics says how many.',
  ];
}

function rowOf(counts: QueueCounts, nowMs: number): readonly string[] {
  const { queue, waiting, active, delayed, failed, completed, oldestWaitingAtMs, isPaused } = counts;
  return [
    queue,
    ...[waiting, active, delayed, failed, completed].map(String),
    oldestWaitingAtMs === undefined ? '-' : spanOf(Math.max(0, nowMs - oldestWaitingAtMs)),
    isPaused ? 'paused' : '-',
  ];
}

function jsonOf(counts: QueueCounts): Record<string, unknown> {
  const { queue, waiting, active, delayed, failed, completed, oldestWaitingAtMs, isPaused } = counts;
  const oldest = isoOrNull(oldestWaitingAtMs ?? 0);
  return { queue, waiting, active, delayed, failed, completed, oldest_waiting_since: oldest, paused: isPaused };
}

function workerJson({ id, host, pid, seenAtMs }: LiveWorker): Record<string, unknown> {
  return { id, host, pid, seen_at: isoOrNull(seenAtMs) };
}
