import { isKeptWhenDone, type Delivery } from '../shared/delivery.js';
import type { RejectedQueue } from '../shared/queues.js';

/**
 * Forgeries, kept for a person to look at, in a queue of their own: however many there are, they push no true failure out. Each
 * becomes a failed job there, of which the newest are kept. Large ones are kept without what they say. While very many still
 * wait for their turn, further ones are not kept: the log alone tells of them.
 */
export interface Rejections {
  add(jobId: string, delivery: Delivery, reason: string): Promise<void>;
}

export const REJECTED_MAX = 1000;
const COUNT_EVERY_MS = 1000;

export function createRejections(deps: { queue: RejectedQueue; now: () => number }): Rejections {
  let waiting = 0;
  let countedAtMs = 0;
  return {
    async add(jobId, delivery, reason) {
      if (deps.now() - countedAtMs > COUNT_EVERY_MS) {
        countedAtMs = deps.now();
        waiting = await deps.queue.getWaitingCount();
      }
      if (waiting >= REJECTED_MAX) return;
      waiting += 1;
      const { body: _body, seal: _seal, ...head } = delivery;
      const kept = isKeptWhenDone(delivery) ? delivery : head;
      await deps.queue.add(delivery.name, { delivery: kept, reason }, { jobId });
    },
  };
}
