import type { IngressFacts, IngressState } from './look-at-ingress.js';

/** One figure of an ingress process. */
export interface IngressFigure {
  readonly metric: string;
  readonly help: string;
  /** How several processes make one number: each has a journal of its own, all share the disk. */
  readonly aggregator: 'sum' | 'max' | 'min';
  readonly of: (state: IngressState) => number;
  /** Its name in the readiness. */
  readonly fact?: keyof IngressFacts;
}

export const INGRESS_FIGURES: readonly IngressFigure[] = [
  {
    metric: 'b24_journal_records',
    help: 'Events on disk that no Redis has confirmed yet',
    aggregator: 'sum',
    of: ({ records }) => records,
    fact: 'journalRecords',
  },
  {
    metric: 'b24_journal_oldest_age_seconds',
    help: 'Age of the oldest event that no Redis has confirmed yet, from its arrival; 0 where there is none',
    aggregator: 'max',
    of: ({ oldestAgeMs }) => oldestAgeMs / 1000,
    fact: 'journalOldestAgeSeconds',
  },
  {
    metric: 'b24_journal_writable',
    help: '1 while events can be taken, 0 while they are turned away',
    aggregator: 'min',
    of: ({ problem }) => Number(problem === undefined),
  },
  {
    metric: 'b24_journal_bytes',
    help: 'Size of the journals of all processes that share DATA_DIR',
    aggregator: 'max',
    of: ({ journalBytes }) => journalBytes,
    fact: 'journalBytes',
  },
  {
    metric: 'b24_disk_free_bytes',
    help: 'Free space on the disk of DATA_DIR',
    aggregator: 'min',
    of: ({ diskFreeBytes }) => diskFreeBytes,
    fact: 'diskFreeBytes',
  },
  {
    metric: 'b24_redis_reachable',
    help: '1 while Redis answers and takes events from the journal, else 0',
    aggregator: 'min',
    of: ({ isRedisReached }) => Number(isRedisReached),
  },
];
