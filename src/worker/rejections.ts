import { KEPT_BYTES_MAX, type Delivery } from '../shared/delivery.js';
import type { RejectedQueue } from '../shared/queues.js';

/**
 * Forgeries, kept for a person to look at, in a queue of their own: however many there are, they push no true failure out.
 * Large ones are kept without what they say. Each becomes a failed job there, of which the newest are kept; beyond a bound of those that still wait they are only counted.
 */
export interface Rejections {
  add(delivery: Delivery, reason: string): Promise<void>;
}

export const REJECTED_MAX = 1000;
const COUNT_EVERY_MS = 1000;

export function createRejections(deps: { queue: RejectedQueue; now: () => number }): Rejections {
  let waiting = 0;
  let countedAtMs = 0;
  return {
    async add(delivery, reason) {
      if (deps.now() - countedAtMs > COUNT_EVERY_MS) {
        countedAtMs = deps.now();
        waiting = await deps.queue.getWaitingCount();
      }
      if (waiting >= REJECTED_MAX) return;
      waiting += 1;
      const { body: _body, ...head } = delivery;
      const kept = delivery.bytes > KEPT_BYTES_MAX ? head : delivery;
      await deps.queue.add(delivery.name, { delivery: kept, reason }, { jobId: delivery.id });
    },
  };
}
