import { Counter, Histogram, type Registry } from 'prom-client';
import type { Delivery } from '../shared/delivery.js';
import { JOB_ERRORS, codeOfReason, type JobErrorCode } from '../shared/errors.js';
import { createEventLabel } from '../shared/event-label.js';
import type { EffectJobData } from '../shared/queues.js';
import type { EndedRun, JobResult } from '../shared/queues-consumer.js';

/** How an attempt at an effect ended; `code` where it failed. */
export interface EndedAttempt {
  readonly outcome: 'done' | 'failed' | 'waits';
  readonly code?: JobErrorCode;
  readonly durationMs: number;
}

/** What the worker counts of its work. Every label comes from a list of our own or from the configuration. */
export interface WorkerMetrics {
  /** A run of a delivery ended. */
  deliveryRan(run: EndedRun<unknown>): void;
  /** A run of an effect's own job ended: by an attempt, which is counted by itself, or without one. */
  effectRan(run: EndedRun<EffectJobData>): void;
  attempted(effect: string, attempt: EndedAttempt): void;
  /** Nothing is left to do about the event of this delivery, since now. */
  eventDone(delivery: Pick<Delivery, 'receivedAtMs'>): void;
  /** How many attempts and deliveries have failed since the start, by code. */
  readonly failures: ReadonlyMap<string, number>;
}

export interface WorkerMetricsDeps {
  readonly registry: Registry;
  /** Names that somebody asked for; patterns among them count for nothing. */
  readonly askedEvents: readonly string[];
  readonly effects: readonly string[];
  readonly now: () => number;
}

/** From a few milliseconds to an attempt with the longest EFFECT_TIMEOUT_MS. */
const ATTEMPT_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600];
/** On to the longest EFFECT_AGE_SECONDS_MAX that is usual. */
const AGE_SECONDS = [...ATTEMPT_SECONDS.slice(0, 13), 300, 900, 3600, 21_600, 86_400, 259_200, 604_800];

/** No attempt ends with these, but an effect may. */
const WITHOUT_ATTEMPT: ReadonlySet<string> = new Set<JobErrorCode>([
  'EFFECT_CRASHED',
  'EFFECT_EXPIRED',
  'EFFECT_NOT_CONFIGURED',
  'DATA_INVALID',
]);
/** In the place of an effect's name, where a delivery failed as a whole. */
const WHOLE_DELIVERY = 'delivery';

export function createWorkerMetrics(deps: WorkerMetricsDeps): WorkerMetrics {
  const counters = createCounters(deps.registry);
  const failures = new Map<string, number>();
  const eventLabel = createEventLabel(deps.askedEvents);
  const known = new Set(deps.effects);
  // The job of an effect that is no longer configured may still be there.
  const effectLabel = (name: string): string => (known.has(name) ? name : 'other');

  const countFailure = (effect: string, reason: string): void => {
    const found = codeOfReason(reason);
    const code = Object.hasOwn(JOB_ERRORS, found) ? found : 'other';
    counters.failures.inc({ effect, code });
    failures.set(code, (failures.get(code) ?? 0) + 1);
  };

  return {
    failures,
    deliveryRan(run) {
      const outcome = deliveryOutcome(run);
      const event = eventLabel(nameOf(run.job.data));
      if (outcome) counters.deliveries.inc({ event, outcome });
      if (run.result.kind === 'failed') countFailure(WHOLE_DELIVERY, run.result.reason);
      if (run.putOffBy !== undefined) countFailure(WHOLE_DELIVERY, run.putOffBy);
    },
    effectRan({ job, result, putOffBy }) {
      const effect = effectLabel(job.data.effect);
      const outcome = effectOutcome(result);
      if (outcome) counters.effects.inc({ effect, outcome });
      if (result.kind === 'failed' && WITHOUT_ATTEMPT.has(codeOfReason(result.reason)))
        countFailure(effect, result.reason);
      if (putOffBy !== undefined) countFailure(effect, putOffBy);
    },
    attempted(name, { outcome, code, durationMs }) {
      const effect = effectLabel(name);
      counters.effects.inc({ effect, outcome });
      // One that waits has hardly begun.
      if (outcome !== 'waits') counters.durations.observe({ effect }, durationMs / 1000);
      if (outcome === 'failed' && code) countFailure(effect, code);
    },
    eventDone({ receivedAtMs }) {
      // The ingress may be on a machine whose clock is ahead.
      counters.ages.observe(Math.max(0, deps.now() - receivedAtMs) / 1000);
    },
  };
}

function createCounters(
  registry: Registry,
): Record<'deliveries' | 'effects' | 'failures', Counter> & Record<'durations' | 'ages', Histogram> {
  const registers = [registry];
  return {
    deliveries: new Counter({
      name: 'b24_deliveries_total',
      help: 'Runs of deliveries, by what they came to; one that is parked or put off ends in another run.',
      labelNames: ['event', 'outcome'],
      registers,
    }),
    effects: new Counter({
      name: 'b24_effects_total',
      help: 'Attempts at effects (done, failed, waits), and effects that ended without success (given_up, cancelled).',
      labelNames: ['effect', 'outcome'],
      registers,
    }),
    failures: new Counter({
      name: 'b24_failures_total',
      help: 'Attempts at effects that failed, effects that ended without one, deliveries that failed, and runs that were put off, by code.',
      labelNames: ['effect', 'code'],
      registers,
    }),
    durations: new Histogram({
      name: 'b24_effect_duration_seconds',
      help: 'How long an attempt at an effect took.',
      labelNames: ['effect'],
      buckets: ATTEMPT_SECONDS,
      registers,
    }),
    ages: new Histogram({
      name: 'b24_event_age_seconds',
      help: 'From the receipt of an event until nothing was left to do about it.',
      buckets: AGE_SECONDS,
      registers,
    }),
  };
}

/** Undefined for a look at one that was parked before. */
function deliveryOutcome({ job, result, putOffBy }: EndedRun<unknown>): string | undefined {
  switch (result.kind) {
    case 'finished':
      return result.outcome;
    case 'failed':
      return 'failed';
    case 'postponed':
      if (putOffBy !== undefined) return 'put_off';
      return job.isFirstRun ? 'parked' : undefined;
    case 'handed-back':
    case 'retry':
      return 'handed_back';
    default:
      return result satisfies never;
  }
}

function effectOutcome(result: JobResult<EffectJobData>): 'given_up' | 'cancelled' | undefined {
  if (result.kind === 'failed') return 'given_up';
  return result.kind === 'finished' && result.outcome === 'cancelled' ? 'cancelled' : undefined;
}

/** What a job carries may be of another release. */
function nameOf(data: unknown): string {
  const name = typeof data === 'object' && data !== null && 'name' in data ? data.name : undefined;
  return typeof name === 'string' ? name : '';
}
