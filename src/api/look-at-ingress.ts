import { oneAtATime } from '../shared/one-at-a-time.js';
import type { Readiness } from '../shared/ops/ops.js';
import type { Drain } from './drain.js';
import type { Journals } from './journals.js';

export interface LookAtIngressDeps {
  readonly journals: Pick<Journals, 'problem' | 'disk'>;
  readonly drain: Pick<Drain, 'backlog' | 'isRedisReached' | 'problem'>;
  /** The time of day. */
  readonly nowMs: () => number;
}

/** How this process does, at one moment. */
export interface IngressState {
  /** Why no event can be taken now. */
  readonly problem: string | undefined;
  /** Not confirmed by any Redis yet. */
  readonly records: number;
  /** Of the first of them; 0 where there is none. */
  readonly oldestAgeMs: number;
  /** Why events stay in the journal. */
  readonly drainProblem: string | undefined;
  readonly isRedisReached: boolean;
  readonly diskFreeBytes: number;
  /** Of all processes that share the folder. */
  readonly journalBytes: number;
}

/** Of the readiness; as a type, because several processes make one of theirs. */
export type IngressFacts = Readonly<
  Record<'journalRecords' | 'journalOldestAgeSeconds' | 'journalBytes' | 'diskFreeBytes', number>
>;

/** Answers within a second, whatever the disk does. */
export type LookAtIngress = () => Promise<IngressState>;

/** What is in the journal for longer is not on its way, but waits. */
const OLD_MS = 10_000;

export function createLookAtIngress(deps: LookAtIngressDeps): LookAtIngress {
  return oneAtATime(() => look(deps));
}

async function look({ journals, drain, nowMs }: LookAtIngressDeps): Promise<IngressState> {
  const { records, oldestAtMs } = await drain.backlog();
  return {
    problem: journals.problem,
    records,
    oldestAgeMs: oldestAtMs === undefined ? 0 : Math.max(0, nowMs() - oldestAtMs),
    drainProblem: drain.problem,
    isRedisReached: drain.isRedisReached,
    diskFreeBytes: journals.disk.freeBytes,
    journalBytes: journals.disk.journalBytes,
  };
}

/**
 * Ready is an ingress whose journal can write: what it takes then is safe. Trouble behind the journal is told, and turns no event away.
 */
export function ingressReadiness(seen: IngressState): Readiness & { readonly facts: IngressFacts } {
  const oldestAgeSeconds = Math.round(seen.oldestAgeMs / 1000);
  const isOld = seen.oldestAgeMs > OLD_MS;
  return {
    problems: seen.problem === undefined ? [] : [seen.problem],
    warnings: [
      ...(seen.drainProblem === undefined ? [] : [seen.drainProblem]),
      ...(isOld ? [`${seen.records} events wait in the journal, the oldest for ${oldestAgeSeconds} s`] : []),
    ],
    facts: {
      journalRecords: seen.records,
      journalOldestAgeSeconds: oldestAgeSeconds,
      journalBytes: seen.journalBytes,
      diskFreeBytes: seen.diskFreeBytes,
    },
  };
}
