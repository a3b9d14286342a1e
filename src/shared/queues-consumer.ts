import { errorMessage } from './caught-error.js';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  DelayedError,
  UnrecoverableError,
  WaitingError,
  Worker,
  type Job,
  type Telemetry,
  type WorkerOptions,
} from 'bullmq';
import { JobError, type JobErrorCode } from './errors.js';
import type { Logger } from './logger.js';
import type { Outcome, ProbeQueueName, QueueName } from './queues.js';
import type { Redis } from './redis.js';
import { resolvesWithin } from './time-limit.js';

/**
 * Takes jobs from a queue and carries out what the processor answers. Each job ends in one of five ways ({@link JobResult}); an
 * error that a processor throws is not one of them: it means that something between us and Redis failed, and puts the job off.
 *
 *     waiting ──► active ──► completed            finished
 *        ▲          ├──────► delayed ──► waiting   postponed (no attempt used), retry (one used)
 *        └──────────┤                              handed-back, at a stop
 *                   └──────► failed                failed
 */
export interface Consumer {
  /** Takes no more jobs, waits for those under way, hands back what is still there after `graceMs`, and lets go of the queue. */
  stop(graceMs: number): Promise<void>;
}

export type JobResult<Data> =
  /** `data` replaces that of the job: what is kept of it must not say more. */
  | { readonly kind: 'finished'; readonly outcome: Outcome['outcome']; readonly data?: Data }
  | { readonly kind: 'postponed'; readonly untilMs: number }
  | { readonly kind: 'handed-back' }
  | { readonly kind: 'retry'; readonly reason: string; readonly delayMs: number }
  /** `data` replaces that of the job, for the day on which a person retries it. */
  | { readonly kind: 'failed'; readonly reason: string; readonly data?: Data };

export interface ConsumedJob<Data> {
  readonly id: string;
  readonly data: Data;
  /** False for one that was put off, handed back or retried before, or whose worker was lost. */
  readonly isFirstRun: boolean;
  /** Runs that were begun, this one among them. */
  readonly attemptsStarted: number;
  /** Attempts that were used up before this one. */
  readonly attemptsMade: number;
}

/** Is told of every run. Must not throw. */
export interface ConsumerWatch<Data> {
  begins(): void;
  ends(run: EndedRun<Data>): void;
}

export interface EndedRun<Data> {
  readonly job: ConsumedJob<Data>;
  readonly result: JobResult<Data>;
  /** Its processor threw, so the job was put off: the code of the error, or `other`. */
  readonly putOffBy: JobErrorCode | 'other' | undefined;
}

export interface ConsumerDeps<Data> {
  readonly queue: QueueName | ProbeQueueName;
  /** A patient connection; a second one is made from it for blocking reads. */
  readonly redis: Redis;
  readonly prefix: string;
  readonly logger: Logger;
  readonly concurrency: number;
  readonly keep: { readonly completedSeconds: number; readonly failedSeconds: number; readonly failedMax?: number };
  readonly watch?: ConsumerWatch<Data>;
  /** By which a job goes on in the trace in which it was added. */
  readonly telemetry?: Telemetry | undefined;
  /** False for what is too large to be kept among the completed. */
  readonly isKeptWhenDone?: (data: Data) => boolean;
  /** `signal` is aborted when the job is no longer ours: its lock is lost, or the process ends. */
  process(job: ConsumedJob<Data>, signal: AbortSignal): Promise<JobResult<Data>>;
}

/** A worker that died is noticed after at most the lock and two looks: 25 s. One that is frozen for longer loses its jobs. */
const LOCK_DURATION_MS = 15_000;
const STALLED_INTERVAL_MS = 5000;
const COMPLETED_MAX = 10_000;
/** A stop after which even handed back jobs are given up, to their locks. */
const HAND_BACK_MS = 1500;
const POSTPONE_MS = { min: 1000, max: 60_000 };

export function startConsumer<Data>(deps: ConsumerDeps<Data>): Consumer {
  const { logger } = deps;
  const worker = new Worker<Data, Outcome>(
    deps.queue,
    (job, token, signal) => processJob(deps, job, { token, signal: signal ?? new AbortController().signal }),
    workerOptions(deps),
  );
  worker.on('lockRenewalFailed', (jobIds) => {
    for (const jobId of jobIds) worker.cancelJob(jobId, 'the lock is lost');
  });
  worker.on('stalled', (jobId) =>
    logger.warn(
      { event: 'job.stalled', queue: deps.queue, ...(deps.queue === 'deliveries' ? { deliveryId: jobId } : { jobId }) },
      'taken up again after its worker was lost',
    ),
  );
  worker.on('error', errorHandler(worker, deps));

  return {
    async stop(graceMs) {
      const closed = worker.close();
      if (await resolvesWithin(closed, graceMs)) return;
      worker.cancelAllJobs('the process ends');
      if (await resolvesWithin(closed, HAND_BACK_MS)) return;
      // BullMQ's close waits for Redis for ever; the connection is the caller's, and ends with it.
      logger.warn(
        { event: 'consumer.not_closed', queue: deps.queue },
        'what is still under way is taken up by another worker',
      );
    },
  };
}

function workerOptions<Data>(deps: ConsumerDeps<Data>): WorkerOptions {
  return {
    connection: deps.redis,
    prefix: deps.prefix,
    concurrency: deps.concurrency,
    lockDuration: LOCK_DURATION_MS,
    stalledInterval: STALLED_INTERVAL_MS,
    // A crash of the worker is no fault of the job; jobs that crash it again and again are counted in claims.ts.
    maxStalledCount: 1_000_000,
    removeOnComplete: {
      age: deps.keep.completedSeconds,
      count: deps.keep.completedSeconds === 0 ? 0 : COMPLETED_MAX,
    },
    removeOnFail: {
      age: deps.keep.failedSeconds,
      ...(deps.keep.failedMax === undefined ? {} : { count: deps.keep.failedMax }),
    },
    settings: {
      backoffStrategy: (_attemptsMade, _type, error) =>
        error instanceof RetryAfterDelay ? error.delayMs : POSTPONE_MS.min,
    },
    skipVersionCheck: true,
    ...(deps.telemetry && { telemetry: deps.telemetry }),
  };
}

class RetryAfterDelay extends Error {
  constructor(
    message: string,
    readonly delayMs: number,
  ) {
    super(message);
  }
}

async function processJob<Data>(
  deps: ConsumerDeps<Data>,
  job: Job<Data, Outcome>,
  run: { token: string | undefined; signal: AbortSignal },
): Promise<Outcome> {
  const consumed: ConsumedJob<Data> = {
    id: job.id ?? '',
    data: job.data,
    isFirstRun: job.attemptsStarted <= 1,
    attemptsStarted: job.attemptsStarted,
    attemptsMade: job.attemptsMade,
  };
  deps.watch?.begins();
  let putOffBy: EndedRun<Data>['putOffBy'];
  const result = await deps.process(consumed, run.signal).catch((error: unknown) => {
    if (!isFinal(error)) putOffBy = error instanceof JobError ? error.code : 'other';
    return resultOfError<Data>(deps, job, error);
  });
  try {
    return await carryOut(deps, job, { result, token: run.token });
  } finally {
    deps.watch?.ends({ job: consumed, result, putOffBy });
  }
}

/** Says to BullMQ, by what it returns or throws, what the job came to. */
async function carryOut<Data>(
  deps: ConsumerDeps<Data>,
  job: Job<Data, Outcome>,
  { result, token }: { result: JobResult<Data>; token: string | undefined },
): Promise<Outcome> {
  switch (result.kind) {
    case 'finished':
      if (result.data !== undefined) await job.updateData(result.data);
      if (!(deps.isKeptWhenDone?.(job.data) ?? true)) job.opts.removeOnComplete = true;
      return { outcome: result.outcome };
    case 'postponed':
      await job.moveToDelayed(result.untilMs, token);
      throw new DelayedError();
    case 'handed-back':
      await job.moveToWait(token);
      throw new WaitingError();
    case 'retry':
      throw new RetryAfterDelay(result.reason, result.delayMs);
    case 'failed':
      if (result.data !== undefined) await job.updateData(result.data);
      throw new UnrecoverableError(result.reason);
    default:
      return result satisfies never;
  }
}

function isFinal(error: unknown): error is JobError {
  return error instanceof JobError && error.verdict === 'never';
}

/** Puts off for longer with every run that was begun. */
function resultOfError<Data>(deps: ConsumerDeps<Data>, job: Job<Data, Outcome>, error: unknown): JobResult<Data> {
  if (isFinal(error)) return { kind: 'failed', reason: error.message };
  const doublings = Math.min(Math.max(job.attemptsStarted - 1, 0), 10);
  const delayMs = Math.min(POSTPONE_MS.min * 2 ** doublings, POSTPONE_MS.max);
  const reason = errorMessage(error);
  deps.logger.warn({ event: 'job.put_off', queue: deps.queue, jobId: job.id, delayMs, reason }, 'put off');
  return { kind: 'postponed', untilMs: Date.now() + delayMs };
}

/**
 * A worker without a job asks Redis again at once when Redis answers with an error: thousands of times a second while it is full
 * or read-only. So it rests for a moment then. Errors of a kind are logged once in a while, not each.
 */
function errorHandler<Data>(worker: Worker<Data, Outcome>, deps: ConsumerDeps<Data>): (error: Error) => void {
  const saidAtMs = new Map<string, number>();
  let resting = false;
  return (problem) => {
    const kind = problem.message.replaceAll(/[0-9a-f-]{8,}/g, '…').slice(0, 80);
    if (Date.now() - (saidAtMs.get(kind) ?? 0) > 10_000) {
      if (saidAtMs.size > 100) saidAtMs.clear();
      saidAtMs.set(kind, Date.now());
      deps.logger.warn(
        { event: 'consumer.error', queue: deps.queue, reason: problem.message },
        'the queue answers with an error',
      );
    }
    if (resting || !/^(?:ReplyError: )?(?:OOM|READONLY|MISCONF|MASTERDOWN|LOADING|NOREPLICAS)\b/.test(problem.message))
      return;
    resting = true;
    void rest(worker).finally(() => {
      resting = false;
    });
  };
}

async function rest<Data>(worker: Worker<Data, Outcome>): Promise<void> {
  await worker.pause(true);
  await sleep(1000);
  await worker.resume();
}
