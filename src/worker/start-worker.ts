import type { Config } from '../shared/config.js';
import { createHandledEvents } from '../shared/handled-events.js';
import type { Logger } from '../shared/logger.js';
import type { Running } from '../shared/process-lifecycle.js';
import { buildEffects } from './build-effects.js';
import { buildSteps } from './build-steps.js';
import { startPortalReleases } from './portal-releases.js';
import { startConsumers } from './start-consumers.js';
import { startHandlers } from './start-handlers.js';
import { startUpkeep } from './upkeep.js';
import { openWorkerBase, type WorkerBase } from './worker-base.js';

/** Longer than the last attempt's deadline: what is still there then does not heed its signal. */
const STOP_GRACE_MS = 1000;

/** Connects, builds, takes jobs; ends in reverse. */
export async function startWorker(config: Config, logger: Logger): Promise<Running> {
  const base = await openWorkerBase(config, logger);
  const handlers = await startHandlers(config, base);
  if (config.handlersDir !== undefined) await tellHandledEvents(base, handlers.events);
  const effects = [...buildEffects(config, base), ...handlers.effects];
  const releases = await startPortalReleases(base);
  const upkeep = startUpkeep(base);
  const consumers = startConsumers(config, base, buildSteps(config, base, effects));
  logger.info({ event: 'worker.started', effects: effects.map((effect) => effect.name) }, 'taking jobs');

  return {
    // For the banner of `npm start`.
    details: { handlers: handlers.effects.map(({ name }) => name.replace(/^handler-/, '')).join(', ') },
    async stop() {
      await Promise.all(consumers.map((consumer) => consumer.stop(config.effectTimeoutMs + STOP_GRACE_MS)));
      await handlers.stop();
      upkeep.stop();
      releases.stop();
      await base.close();
    },
  };
}

async function tellHandledEvents(base: WorkerBase, events: readonly string[]): Promise<void> {
  const isChanged = await createHandledEvents(base).replace(events);
  if (!isChanged || (await base.portals.all()).length === 0) return;
  base.logger.warn(
    { event: 'events.changed' },
    'the handlers ask for other events: run `b24-events subscribe`, so that portals send them',
  );
}
