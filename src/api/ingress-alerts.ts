import type { AlertRule } from '../shared/alerts/alert-rule.js';
import type { IngressState } from './look-at-ingress.js';

/** What the journals of this process tell of themselves. */
export type JournalState = Pick<IngressState, 'problem' | 'records' | 'oldestAgeMs'>;

export interface IngressAlertsDeps {
  readonly look: () => JournalState | Promise<JournalState>;
  readonly nowMs: () => number;
}

const STOPPED_FOR_MS = 5000;
export const JOURNAL_BOUNDS = { oldMs: 45_000, records: 10_000 } as const;
const GROWING_FOR_MS = 5000;
/** So long must many records have become more: a burst is drained sooner. */
const RISING_MS = 30_000;

/** What only an ingress can see. */
export function createIngressAlerts(deps: IngressAlertsDeps): AlertRule[] {
  return [createJournalStopped(deps), createJournalGrowing(deps)];
}

function createJournalStopped({ look }: IngressAlertsDeps): AlertRule {
  return {
    name: 'journal-stopped',
    scope: 'machine',
    forMs: STOPPED_FOR_MS,
    async check() {
      const { problem } = await look();
      return problem === undefined ? undefined : `events are turned away: ${problem}`;
    },
  };
}

function createJournalGrowing({ look, nowMs }: IngressAlertsDeps): AlertRule {
  let seen: { readonly records: number; readonly atMs: number }[] = [];
  const isRising = (records: number): boolean => {
    const now = nowMs();
    const before = seen.findLast(({ atMs }) => now - atMs >= RISING_MS);
    seen = [...seen.filter(({ atMs }) => now - atMs < RISING_MS || atMs === before?.atMs), { records, atMs: now }];
    return before !== undefined && records > before.records;
  };
  return {
    name: 'journal-growing',
    scope: 'machine',
    forMs: GROWING_FOR_MS,
    async check() {
      const { records, oldestAgeMs } = await look();
      const isGrowing = isRising(records) && records > JOURNAL_BOUNDS.records;
      if (oldestAgeMs <= JOURNAL_BOUNDS.oldMs && !isGrowing) return undefined;
      return `${records} events are in the journal, the oldest for ${Math.round(oldestAgeMs / 1000)} s`;
    },
  };
}
