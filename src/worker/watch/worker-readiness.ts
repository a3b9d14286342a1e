import type { Readiness } from '../../shared/ops/ops.js';
import type { Probe } from './probe.js';
import type { StalledConsumer, WorkerWatch } from './worker-watch.js';

/** From what on something is trouble; in ms. */
export interface ReadinessBounds {
  /** Since the last look at Redis came through. */
  readonly lookSilentMs: number;
  /** Since the last job came back through the probe's queue. */
  readonly probeSilentMs: number;
  /** That a consumer stands still. */
  readonly stalledMs: number;
}

export interface ReadinessDeps {
  readonly watch: Pick<WorkerWatch, 'last' | 'silentMs' | 'readFailure' | 'writeFailure' | 'stalls' | 'progresses'>;
  readonly probe: Pick<Probe, 'returnedAtMs' | 'tookMs'>;
  readonly bounds: ReadinessBounds;
  readonly nowMs: () => number;
}

/** Whether this worker does its work, from what was seen last: the answer costs nothing, and never waits. */
export function workerReadiness(deps: ReadinessDeps): Readiness {
  return { problems: problemsOf(deps), warnings: warningsOf(deps), facts: factsOf(deps) };
}

/** For a person, and for the last line of a process that is ended for it. */
export function stallInWords({ queue, kind, forMs }: StalledConsumer): string {
  const seconds = inSeconds(forMs);
  return kind === 'not-taking'
    ? `jobs wait in the queue ${queue}, and for ${seconds} s this worker has begun none, though it has free slots`
    : `all slots of the queue ${queue} are taken, and for ${seconds} s more than an attempt may last none has become free`;
}

function problemsOf({ watch, probe, bounds, nowMs }: ReadinessDeps): readonly string[] {
  const { silentMs, readFailure, writeFailure, stalls } = watch;
  const problems: string[] = [];
  if (silentMs === undefined) problems.push(`Redis has not been reached yet${because(readFailure)}`);
  else if (silentMs > bounds.lookSilentMs)
    problems.push(`Redis has not answered for ${inSeconds(silentMs)} s${because(readFailure)}`);
  else if (writeFailure !== undefined) problems.push(`Redis takes no writes: ${writeFailure}`);
  if (probe.returnedAtMs === undefined) problems.push('no job has come through the queue of this worker yet');
  else if (nowMs() - probe.returnedAtMs > bounds.probeSilentMs)
    problems.push(`no job has come through the queue of this worker for ${inSeconds(nowMs() - probe.returnedAtMs)} s`);
  problems.push(...stalls.filter(({ forMs }) => forMs >= bounds.stalledMs).map(stallInWords));
  return problems;
}

function warningsOf({ watch: { last } }: ReadinessDeps): readonly string[] {
  if (!last) return [];
  const { queues, redis } = last;
  const warnings = queues
    .filter(({ isPaused }) => isPaused)
    .map(({ queue, waiting }) => `the queue ${queue} is paused, and ${waiting} jobs wait in it`);
  if (redis.evictionPolicy !== '' && redis.evictionPolicy !== 'noeviction')
    warnings.push(`Redis may drop events when it is full: its maxmemory-policy is ${redis.evictionPolicy}`);
  if (!redis.lastSaveOk) warnings.push('Redis could not write to its disk lately');
  return warnings;
}

function factsOf({ watch: { last, progresses, silentMs }, probe }: ReadinessDeps): Readonly<Record<string, number>> {
  const facts: Record<string, number> = {};
  if (silentMs !== undefined) facts.secondsSinceRedisAnswered = inSeconds(silentMs);
  if (probe.tookMs !== undefined) facts.roundTripMs = Math.round(probe.tookMs);
  for (const { queue, active, concurrency } of progresses) {
    facts[`${queue}Running`] = active;
    facts[`${queue}Slots`] = concurrency;
  }
  for (const { queue, waiting, delayed, failed } of last?.queues ?? []) {
    facts[`${queue}Waiting`] = waiting;
    facts[`${queue}Delayed`] = delayed;
    facts[`${queue}Failed`] = failed;
  }
  return facts;
}

function because(failure: string | undefined): string {
  return failure === undefined ? '' : `: ${failure}`;
}

function inSeconds(ms: number): number {
  return Math.round(ms / 1000);
}
