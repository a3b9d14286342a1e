import type { QueueCounts } from '../../src/shared/queue-counts.js';

/** A look at the queue `deliveries`, of which there is nothing. */
export const EMPTY_QUEUE: QueueCounts = {
  queue: 'deliveries',
  waiting: 0,
  active: 0,
  delayed: 0,
  failed: 0,
  completed: 0,
  isPaused: false,
  oldestWaitingAtMs: undefined,
  firstDueAtMs: undefined,
};
