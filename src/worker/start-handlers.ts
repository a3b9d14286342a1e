import type { Config } from '../shared/config.js';
import { environment } from '../shared/config.js';
import type { Effect } from './effects/effect.js';
import { destinationSlots } from './build-effects.js';
import { unfinishedSecondsOf } from './build-steps.js';
import { loadHandlers } from './handlers/handler-effects.js';
import { createOnceStore } from './handlers/once-store.js';
import { withoutRest } from '../shared/rest-stack.js';
import { warnUnknownEvents } from './warn-unknown-events.js';
import type { WorkerBase } from './worker-base.js';

/** The user's own handlers, as effects. */
export interface RunningHandlers {
  readonly effects: readonly Effect[];
  /** Names of events that they ask for. */
  readonly events: readonly string[];
  stop(): Promise<void>;
}

/** @throws {StartError} that names each module at fault. */
export async function startHandlers(config: Config, base: WorkerBase): Promise<RunningHandlers> {
  if (config.handlersDir === undefined) return { effects: [], events: [], stop: () => Promise.resolve() };
  const once = createOnceStore({ ...base, ttlSeconds: unfinishedSecondsOf(config) });
  const handlers = await loadHandlers({
    ...base,
    dir: config.handlersDir,
    env: environment(),
    slots: destinationSlots(config),
    restMs: config.effectBackoffMs,
    rest: base.rest?.rest ?? withoutRest,
    once,
    now: Date.now,
  });
  warnUnknownEvents(base.logger, handlers.events);
  return handlers;
}
