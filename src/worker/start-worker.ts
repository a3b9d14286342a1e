import { startAlerts } from '../shared/alerts/start-alerts.js';
import type { Config } from '../shared/config.js';
import { createHandledEvents } from '../shared/handled-events.js';
import type { ProcessContext, Running } from '../shared/process-lifecycle.js';
import { buildEffects } from './build-effects.js';
import { buildSteps } from './build-steps.js';
import type { Effect } from './effects/effect.js';
import { startPortalReleases } from './portal-releases.js';
import { startConsumers } from './start-consumers.js';
import { startHandlers } from './start-handlers.js';
import { startUpkeep } from './upkeep.js';
import { warnIdle } from './warn-idle.js';
import { startWatch, type WatchTiming } from './watch/start-watch.js';
import { openWorkerBase, type WorkerBase } from './worker-base.js';
import { createWorkerAlerts } from './worker-alerts.js';
import { createWorkerMetrics, type WorkerMetrics } from './worker-metrics.js';

/** For tests. */
export interface WorkerKnobs {
  readonly timing?: Partial<WatchTiming>;
  /** Beside those that are configured. */
  readonly effects?: readonly Effect[];
}

/** Longer than the last attempt's deadline: what is still there then does not heed its signal. */
const STOP_GRACE_MS = 1000;

/** Connects, builds, takes jobs; ends in reverse. */
export async function startWorker(context: ProcessContext, knobs: WorkerKnobs = {}): Promise<Running> {
  const { config, logger } = context;
  warnIdle(logger, config);
  const base = await openWorkerBase(context);
  const handlers = await startHandlers(config, base);
  if (config.handlersDir !== undefined) await tellHandledEvents(base, handlers.events);
  const effects = [...buildEffects(config, base), ...handlers.effects, ...(knobs.effects ?? [])];
  const metrics = buildMetrics(context, { effects, handledEvents: handlers.events });
  const releases = await startPortalReleases(base);
  const upkeep = startUpkeep(base);
  const steps = buildSteps(config, base, { effects, metrics });
  const { consumers, progresses } = startConsumers(config, base, { ...steps, metrics });
  const watch = await startWatch({ context, base, progresses, timing: knobs.timing });
  const rules = createWorkerAlerts({ failures: () => metrics.failures, nowMs: () => performance.now() });
  const alerts = startAlerts({ config, processName: 'worker', logger, rules });
  logger.info({ event: 'worker.started', effects: effects.map((effect) => effect.name) }, 'taking jobs');

  return {
    // For the banner of `npm start`.
    details: { handlers: handlers.effects.map(({ name }) => name.replace(/^handler-/, '')).join(', ') },
    async stop() {
      alerts.stop();
      const graceMs = config.effectTimeoutMs + STOP_GRACE_MS;
      await Promise.all([watch.stop(), ...consumers.map((consumer) => consumer.stop(graceMs))]);
      await handlers.stop();
      upkeep.stop();
      releases.stop();
      await base.close();
    },
  };
}

function buildMetrics(
  { config, ops }: { readonly config: Config; readonly ops: ProcessContext['ops'] },
  { effects, handledEvents }: { readonly effects: readonly Effect[]; readonly handledEvents: readonly string[] },
): WorkerMetrics {
  return createWorkerMetrics({
    registry: ops.registry,
    askedEvents: [...config.b24Events, ...handledEvents],
    effects: effects.map(({ name }) => name),
    now: Date.now,
  });
}

async function tellHandledEvents(base: WorkerBase, events: readonly string[]): Promise<void> {
  const isChanged = await createHandledEvents(base).replace(events);
  if (!isChanged || (await base.portals.all()).length === 0) return;
  base.logger.warn(
    { event: 'events.changed' },
    'the handlers ask for other events: run `b24-events subscribe`, so that portals send them',
  );
}
