import { Gauge, type GaugeConfiguration, type Registry } from 'prom-client';
import type { QueueCounts } from '../../shared/queue-counts.js';
import type { Probe } from './probe.js';
import type { Progress } from './progress.js';
import type { WatchedState, WorkerWatch } from './worker-watch.js';

export interface WatchMetricsDeps {
  readonly registry: Registry;
  readonly watch: Pick<WorkerWatch, 'last' | 'silentMs' | 'readFailure' | 'writeFailure' | 'progresses' | 'runMsMax'>;
  readonly probe: Pick<Probe, 'tookMs'>;
  /** Goes only forward, as that of the progresses. */
  readonly nowMs: () => number;
  readonly timeMs: () => number;
}

type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** What is older says nothing any more: rather no figure than a wrong one. */
const SILENT_MS_MAX = 20_000;

/** Figures of the last look. Every worker tells the same of the queues and of Redis: take the largest of them, not the sum. */
export function registerWatchMetrics({ registry, watch, probe, nowMs, timeMs }: WatchMetricsDeps): void {
  const look = (): WatchedState | undefined => ((watch.silentMs ?? Infinity) < SILENT_MS_MAX ? watch.last : undefined);
  const queues = (): readonly QueueCounts[] => look()?.queues ?? [];
  const ages = (): readonly Sample[] =>
    queues().map((counts) => [{ queue: counts.queue }, ageSeconds(counts, timeMs())]);

  const gauge = (about: Pick<GaugeAbout, 'name' | 'help' | 'labelNames'>, samples: () => readonly Sample[]): void =>
    addGauge({ ...about, registers: [registry] }, samples);

  gauge({ name: 'b24_queue_jobs', help: 'Jobs in a queue, by their state.', labelNames: ['queue', 'state'] }, () =>
    queues().flatMap(jobsOf),
  );
  gauge({ name: 'b24_queue_paused', help: '1 while a person has paused the queue.', labelNames: ['queue'] }, () =>
    queues().map(({ queue, isPaused }) => [{ queue }, Number(isPaused)]),
  );
  gauge(
    {
      name: 'b24_oldest_waiting_age_seconds',
      help: 'How long the job has waited that is next; 0 where none waits.',
      labelNames: ['queue'],
    },
    ages,
  );
  gauge({ name: 'b24_redis_reachable', help: '1 while Redis answers and takes writes.' }, () =>
    one(Number(look() !== undefined && watch.readFailure === undefined && watch.writeFailure === undefined)),
  );
  gauge({ name: 'b24_redis_memory_bytes', help: 'What Redis uses.' }, () => one(look()?.redis.usedBytes));
  gauge({ name: 'b24_redis_memory_max_bytes', help: 'The maxmemory of Redis; 0 where it has no bound.' }, () =>
    one(look()?.redis.bytesMax),
  );
  gauge({ name: 'b24_worker_slots', help: 'Slots of this worker, by use.', labelNames: ['queue', 'state'] }, () =>
    watch.progresses.flatMap(slotsOf),
  );
  gauge(
    {
      name: 'b24_worker_runs_end_by_timestamp_seconds',
      help: 'By when one of the runs that are under way in this worker must have ended; not told where there are none.',
      labelNames: ['queue'],
    },
    () => watch.progresses.flatMap((progress) => deadlineOf(progress, timeMs() - nowMs() + watch.runMsMax)),
  );
  gauge({ name: 'b24_worker_round_trip_seconds', help: 'How long the last job took through the probe queue.' }, () =>
    one(probe.tookMs === undefined ? undefined : probe.tookMs / 1000),
  );
}

/** Of a gauge without labels. */
function one(value: number | undefined): readonly Sample[] {
  return value === undefined ? [] : [[{}, value]];
}

type GaugeAbout = GaugeConfiguration<string>;

/** Its samples are read whenever somebody asks for them; one that is no longer there is no longer told. */
function addGauge(about: GaugeAbout, samples: () => readonly Sample[]): void {
  const gauge = new Gauge({
    ...about,
    collect() {
      gauge.reset();
      // A gauge without labels would be 0.
      if (about.labelNames === undefined) gauge.remove();
      for (const [labels, value] of samples()) gauge.set(labels, value);
    },
  });
}

function jobsOf({ queue, waiting, active, delayed, failed, completed }: QueueCounts): readonly Sample[] {
  const states = { waiting, active, delayed, failed, completed };
  return Object.entries(states).map(([state, count]) => [{ queue, state }, count]);
}

function slotsOf({ queue, active, concurrency }: Progress): readonly Sample[] {
  return [
    [{ queue, state: 'active' }, active],
    [{ queue, state: 'free' }, Math.max(0, concurrency - active)],
  ];
}

function deadlineOf({ queue, active, movedAtMs }: Progress, addedMs: number): readonly Sample[] {
  return active === 0 ? [] : [[{ queue }, (movedAtMs + addedMs) / 1000]];
}

/** The clock of the ingress may be ahead. */
function ageSeconds({ oldestWaitingAtMs }: QueueCounts, timeMs: number): number {
  return oldestWaitingAtMs === undefined ? 0 : Math.max(0, timeMs - oldestWaitingAtMs) / 1000;
}
