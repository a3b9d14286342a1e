import { errorMessage } from '../../shared/caught-error.js';
import type { Keys } from '../../shared/keys.js';
import { forgetWorker, sayAlive, type WorkerName } from '../../shared/live-workers.js';
import type { Logger } from '../../shared/logger.js';
import { openQueue, type ProbeJobData, type ProbeQueue, type ProbeQueueName } from '../../shared/queues.js';
import { startConsumer } from '../../shared/queues-consumer.js';
import type { Redis } from '../../shared/redis.js';
import { resolvesWithin } from '../../shared/time-limit.js';
import { repeat } from './repeat.js';

/**
 * Sends a tiny job through a queue of this worker alone, every few seconds, and takes it as all jobs are taken. A consumer that never
 * woke up after an outage of Redis says that it is running; that a job went round is what cannot be said in error.
 * https://github.com/taskforcesh/bullmq/issues/4585
 *
 * The queue is removed at a stop. That of a worker that was killed is removed by another one: see gone-workers.ts.
 */
export interface Probe {
  /** When a job came back last, by the clock of the deps; undefined until the first has. */
  readonly returnedAtMs: number | undefined;
  /** How long that one took. */
  readonly tookMs: number | undefined;
  /** `others` say that this worker lives, too: what they or a job under way write after the removal would stay for ever. */
  stop(others: Promise<unknown>): Promise<void>;
}

export interface ProbeDeps {
  readonly worker: WorkerName;
  /** A connection that fails fast: it adds. */
  readonly redis: Redis;
  /** A patient connection: it takes. */
  readonly consumerRedis: Redis;
  readonly keys: Keys;
  readonly prefix: string;
  readonly logger: Logger;
  readonly everyMs: number;
  readonly nowMs: () => number;
}

const JOB_ID = 'probe';
const CONSUMER_GRACE_MS = 500;
const REMOVE_MS = 2000;
const UNDER_WAY_MS = 2000;
/** Each job writes a few entries, and by default ten thousand of them would be kept. */
const STREAM_ENTRIES_MAX = 10;

export function probeQueueName(workerId: string): ProbeQueueName {
  return `probe-${workerId}`;
}

export function startProbe(deps: ProbeDeps): Probe {
  const { logger, prefix, nowMs } = deps;
  const name = probeQueueName(deps.worker.id);
  const queue: ProbeQueue = openQueue(name, deps.redis, prefix);
  let isStopping = false;
  let sentAtMs: number | undefined;
  let returned: { readonly atMs: number; readonly tookMs: number } | undefined;
  const consumer = startConsumer<ProbeJobData>({
    queue: name,
    redis: deps.consumerRedis,
    prefix,
    logger,
    concurrency: 1,
    keep: { completedSeconds: 0, failedSeconds: 0 },
    process: async () => {
      returned = { atMs: nowMs(), tookMs: nowMs() - (sentAtMs ?? nowMs()) };
      sentAtMs = undefined;
      return { kind: 'finished', outcome: 'done' };
    },
  });
  const send = async (): Promise<void> => {
    // First, so that there is never a queue of which nobody knows whose it was.
    await sayAlive(deps, deps.worker);
    if (isStopping) return;
    sentAtMs ??= nowMs();
    // While the one before is still there this adds nothing.
    await queue.add(JOB_ID, {}, { jobId: JOB_ID });
    await queue.trimEvents(STREAM_ENTRIES_MAX);
  };
  const sending = repeat(deps.everyMs, () =>
    send().catch((error: unknown) => {
      logger.debug({ event: 'probe.not_sent', reason: errorMessage(error) }, 'sent again in a moment');
    }),
  );
  return {
    get returnedAtMs() {
      return returned?.atMs;
    },
    get tookMs() {
      return returned?.tookMs;
    },
    async stop(others) {
      isStopping = true;
      await resolvesWithin(Promise.all([others, sending.stop(), consumer.stop(CONSUMER_GRACE_MS)]), UNDER_WAY_MS);
      await removeProbe(deps, deps.worker);
    },
  };
}

/** Removes the queue of a worker and its name; what cannot be removed now is left to another worker. */
export async function removeProbe(
  deps: Pick<ProbeDeps, 'redis' | 'keys' | 'prefix' | 'logger'>,
  worker: WorkerName,
): Promise<void> {
  const remove = async (): Promise<void> => {
    await openQueue<ProbeJobData>(probeQueueName(worker.id), deps.redis, deps.prefix).obliterate({ force: true });
    await forgetWorker(deps, worker);
  };
  try {
    if (await resolvesWithin(remove(), REMOVE_MS)) return;
    deps.logger.debug({ event: 'probe.not_removed', workerId: worker.id }, 'Redis does not answer');
  } catch (error) {
    deps.logger.debug({ event: 'probe.not_removed', workerId: worker.id, reason: errorMessage(error) });
  }
}
