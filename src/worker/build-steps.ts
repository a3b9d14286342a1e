import { randomUUID } from 'node:crypto';
import type { Config } from '../shared/config.js';
import { createEchoes } from '../shared/echoes.js';
import { Admission } from './admission.js';
import { Attempts } from './attempts.js';
import { createBackoff } from './backoff.js';
import { createClaims, type Claims } from './claims.js';
import { DeliveryProcessor } from './delivery-processor.js';
import { createEffectJobs } from './effect-jobs.js';
import { EffectProcessor } from './effect-processor.js';
import type { Effect } from './effects/effect.js';
import { FirstRun } from './first-run.js';
import { createRejections } from './rejections.js';
import { createVerifier } from './verifier.js';
import type { WorkerBase } from './worker-base.js';
import type { WorkerMetrics } from './worker-metrics.js';

export interface Steps {
  readonly deliver: DeliveryProcessor;
  readonly retryEffect: EffectProcessor;
}

/** The steps of the way of an event, each with what it needs. */
export function buildSteps(
  config: Config,
  base: WorkerBase,
  { effects, metrics }: { readonly effects: readonly Effect[]; readonly metrics: WorkerMetrics },
): Steps {
  const { logger, tracing } = base;
  const now = Date.now;
  const common = {
    ...base,
    effects,
    metrics,
    now,
    attemptsMax: config.effectAttempts,
    ageMsMax: config.effectAgeSecondsMax * 1000,
    claims: buildClaims(config, base),
    verifier: createVerifier({
      ...base,
      applicationTokens: config.applicationTokens,
      canProve: base.installation !== undefined,
    }),
    attempts: new Attempts({ logger, tracing, metrics, timeoutMs: config.effectTimeoutMs, now }),
    backoff: createBackoff({ baseMs: config.effectBackoffMs, capMs: config.effectBackoffMsMax }),
  };
  const effectJobs = createEffectJobs({ queue: base.effectQueue, attemptsMax: config.effectAttempts, now });
  const rejections = createRejections({ queue: base.rejectedQueue, now });
  const deliver = new DeliveryProcessor({
    ...common,
    admission: new Admission({ ...common, rejections, echoes: createEchoes(base) }),
    firstRun: new FirstRun({ ...common, effectJobs }),
    laterTwinsRun: config.dedupBy === 'content',
  });
  return { deliver, retryEffect: new EffectProcessor(common) };
}

function buildClaims(config: Config, { redis, keys }: WorkerBase): Claims {
  return createClaims({
    redis,
    keys,
    runner: randomUUID(),
    windowSeconds: config.dedupWindowSeconds,
    unfinishedSeconds: unfinishedSecondsOf(config),
  });
}

/** Longer than any effect of an event can still run or be kept as failed. */
export function unfinishedSecondsOf(config: Config): number {
  return config.effectAgeSecondsMax + config.keepFailedSeconds + config.dedupWindowSeconds;
}
