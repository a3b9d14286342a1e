/**
 * What a person is told of without being asked, by ALERT_URL and by the rules for Prometheus in `deploy/prometheus`, under the same
 * names; a test holds the two and `docs/operations.md` together.
 */
export const ALERTS = {
  'events-old': 'an event has waited for too long',
  'journal-growing': 'events stay in the journal of an ingress',
  'journal-stopped': 'the ingress turns events away',
  'nothing-finishes': 'events wait, and no worker finishes one',
  'failures-rising': 'effects fail with one code more often than before',
  'redis-memory': 'Redis is nearly full',
  'redis-unreachable': 'Redis does not answer, or takes no writes',
  'process-wedged': 'a process did not move, and was ended',
} as const;

export type AlertName = keyof typeof ALERTS;

/**
 * Looked at every few seconds; told once it has held for `forMs`, and once more when it is over. Of all processes that see it at one
 * time, one tells of it: of all of the system, or of all of one machine where it is about that machine, such as its disk.
 */
export interface AlertRule {
  readonly name: AlertName;
  readonly scope: 'system' | 'machine';
  readonly forMs: number;
  /** A sentence with the figures while it holds, else undefined. Must answer or reject soon; a rejection changes nothing. */
  check(): string | undefined | Promise<string | undefined>;
}
