import { readQueueCounts } from '../../shared/queue-counts.js';
import { openQueue, QUEUE_NAMES, type QueueName } from '../../shared/queues.js';
import type { Redis } from '../../shared/redis.js';
import { ok, warn, type Finding } from './finding.js';
import type { Look } from './look.js';

const WAITING_SECONDS_MAX = 60;

export interface QueueLooksDeps {
  readonly redis: Redis;
  readonly prefix: string;
  readonly nowMs: () => number;
}

export function queueLooks(deps: QueueLooksDeps): readonly Look[] {
  return QUEUE_NAMES.map((name) => ({ name, advice: 'look at Redis', look: () => lookAtQueue(name, deps) }));
}

async function lookAtQueue(
  name: QueueName,
  { redis, prefix, nowMs }: QueueLooksDeps,
): Promise<Finding | readonly Finding[]> {
  const counts = await readQueueCounts(openQueue(name, redis, prefix));
  const { waiting, active, delayed, failed, isPaused, oldestWaitingAtMs } = counts;
  const findings: Finding[] = [];
  if (isPaused) findings.push(warn(name, 'it is paused', `b24-events queue resume ${name}`));
  const waitsSeconds = oldestWaitingAtMs === undefined ? 0 : Math.round((nowMs() - oldestWaitingAtMs) / 1000);
  if (waitsSeconds > WAITING_SECONDS_MAX) {
    const found = `the oldest of ${waiting} waits for ${waitsSeconds} s`;
    findings.push(warn(name, found, 'start more workers, or look at /readyz and the log of those that run'));
  }
  // Forgeries end as failed, and that is as it should be.
  if (failed > 0 && name !== 'rejected')
    findings.push(warn(name, `${failed} failed for good`, 'look at them with: b24-events queue failed'));
  if (findings.length > 0) return findings;
  return ok(name, `waiting ${waiting}, active ${active}, delayed ${delayed}, failed ${failed}`);
}
