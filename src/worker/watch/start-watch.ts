import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Config } from '../../shared/config.js';
import { sayAlive } from '../../shared/live-workers.js';
import { WedgedError } from '../../shared/ops/wedged-error.js';
import type { ProcessContext } from '../../shared/process-lifecycle.js';
import { readQueueCounts } from '../../shared/queue-counts.js';
import { openQueue, QUEUE_NAMES } from '../../shared/queues.js';
import { redisAddressOf } from '../../shared/redis-address.js';
import { readRedisInfo } from '../../shared/redis-info.js';
import { connectFailingFast } from '../../shared/redis.js';
import { resolvesWithin } from '../../shared/time-limit.js';
import type { WorkerBase } from '../worker-base.js';
import { startSweepingGoneWorkers } from './gone-workers.js';
import { startProbe, type Probe, type ProbeDeps } from './probe.js';
import type { Progress } from './progress.js';
import { registerWatchMetrics } from './watch-metrics.js';
import type { Repeated } from './repeat.js';
import { stallInWords, workerReadiness, type ReadinessBounds } from './worker-readiness.js';
import { WorkerWatch, type WorkerWatchDeps } from './worker-watch.js';

/** All in ms; other than these only in tests. */
export interface WatchTiming extends ReadinessBounds {
  readonly lookEveryMs: number;
  readonly probeEveryMs: number;
  /** A consumer that stands still for so long is given up, and the process with it. */
  readonly wedgedMs: number;
  readonly sweepEveryMs: number;
  /** A worker that was silent for so long is swept. */
  readonly goneMs: number;
}

const TIMING: WatchTiming = {
  lookEveryMs: 5000,
  lookSilentMs: 10_000,
  probeEveryMs: 10_000,
  probeSilentMs: 30_000,
  stalledMs: 20_000,
  wedgedMs: 60_000,
  sweepEveryMs: 60_000,
  goneMs: 600_000,
};

const CONNECT_MS = 2000;

export interface StartWatchDeps {
  readonly context: Pick<ProcessContext, 'config' | 'logger' | 'ops' | 'fail'>;
  readonly base: Pick<WorkerBase, 'redis' | 'keys' | 'prefix'>;
  readonly progresses: readonly Progress[];
  readonly timing: Partial<WatchTiming> | undefined;
}

/**
 * Watches over this worker from outside of its jobs, over a connection of its own that fails fast: what it saw last is told by
 * `/readyz` and `/metrics`, and a worker whose consumers stand still is ended, so that its supervisor starts it anew.
 */
export async function startWatch({
  context,
  base,
  progresses,
  timing,
}: StartWatchDeps): Promise<{ stop(): Promise<void> }> {
  const { config, ops, fail } = context;
  const bounds = { ...TIMING, ...timing };
  // The worker's own connection says when Redis is lost and back.
  const logger = context.logger.child({}, { level: 'silent' });
  const redis = connectFailingFast(redisAddressOf(config), logger);
  // What it is asked before is refused, and the first look would be the second.
  await resolvesWithin(new Promise((resolve) => redis.once('ready', resolve)), CONNECT_MS);
  const worker = { id: randomBytes(6).toString('hex'), host: hostname(), pid: process.pid };
  const shared = { redis, keys: base.keys, prefix: base.prefix, logger: context.logger, worker, nowMs };

  const sweep = startSweepingGoneWorkers({ ...shared, everyMs: bounds.sweepEveryMs, silentMs: bounds.goneMs });
  const probe = startProbe({ ...shared, consumerRedis: base.redis, everyMs: bounds.probeEveryMs });
  const watch = WorkerWatch.start({
    ...looksAt(config, shared),
    progresses,
    runMsMax: config.effectTimeoutMs,
    everyMs: bounds.lookEveryMs,
    nowMs,
    timeMs: Date.now,
    onLook: endIfWedged(bounds.wedgedMs, fail),
  });
  registerWatchMetrics({ registry: ops.registry, watch, probe, nowMs, timeMs: Date.now });
  ops.readyWhen(() => workerReadiness({ watch, probe, bounds, nowMs }));
  return { stop: () => stopAll({ sweep, watch, probe, redis }) };
}

/** Once: the process needs a moment to end. */
function endIfWedged(wedgedMs: number, fail: ProcessContext['fail']): WorkerWatchDeps['onLook'] {
  let isEnding = false;
  return ({ stalls }) => {
    const wedged = stalls.find(({ forMs }) => forMs >= wedgedMs);
    if (!wedged || isEnding) return;
    isEnding = true;
    fail(new WedgedError(stallInWords(wedged)));
  };
}

function nowMs(): number {
  return performance.now();
}

/** `rejected` is counted, and judged by nobody: it holds forgeries. */
function looksAt(
  config: Pick<Config, 'queuePrefix'>,
  shared: Pick<ProbeDeps, 'redis' | 'keys' | 'worker'>,
): Pick<WorkerWatchDeps, 'readQueues' | 'readRedis' | 'write'> {
  const queues = QUEUE_NAMES.map((name) => openQueue(name, shared.redis, config.queuePrefix));
  return {
    readQueues: () => Promise.all(queues.map(readQueueCounts)),
    readRedis: () => readRedisInfo(shared.redis),
    write: () => sayAlive(shared, shared.worker),
  };
}

async function stopAll(parts: {
  readonly sweep: Repeated;
  readonly watch: WorkerWatch;
  readonly probe: Probe;
  readonly redis: ProbeDeps['redis'];
}): Promise<void> {
  await parts.probe.stop(Promise.all([parts.sweep.stop(), parts.watch.stop()]));
  parts.redis.disconnect();
}
