import { openQueue, type QueueName } from '../../shared/queues.js';
import type { OnRedis } from '../run-on-redis.js';

export interface PauseOptions {
  readonly queues: readonly QueueName[];
  readonly isPause: boolean;
  readonly json: boolean;
}

/**
 * For all workers, also those that start later, until somebody resumes. What is under way goes on; events are still taken in, put into
 * the queue, and wait there, and in the journals once Redis is as full as it may get.
 */
export async function pauseQueues({ queues, isPause, json }: PauseOptions, parts: OnRedis): Promise<number> {
  const { redis, config, write } = parts;
  for (const name of queues) {
    const queue = openQueue(name, redis, config.queuePrefix);
    await (isPause ? queue.pause() : queue.resume());
    if (!json) write(isPause ? `${name}: paused; what comes waits until \`queue resume\`` : `${name}: resumed`);
  }
  if (json) write(JSON.stringify({ queues: queues.map((queue) => ({ queue, paused: isPause })) }));
  return 0;
}
