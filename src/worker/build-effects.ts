import type { Config } from '../shared/config.js';
import { createHandledEvents } from '../shared/handled-events.js';
import { createForgetPortal } from '../shared/forget-portal.js';
import type { Logger } from '../shared/logger.js';
import { portalPlanOf, type PortalPlan } from '../shared/portal-setup.js';
import { createDestination } from './destination.js';
import { connectorStateEffect } from './effects/connector-state.js';
import type { Effect } from './effects/effect.js';
import { forwardEffect } from './effects/forward.js';
import { installationEffect } from './effects/installation.js';
import { paymentEffect } from './effects/payment.js';
import { uninstallationEffect } from './effects/uninstallation.js';
import type { WorkerBase } from './worker-base.js';

/** Of the slots of a queue, what one destination may take at most: the rest goes on when it hangs. */
const DESTINATION_SHARE = 0.9;

/** What this project itself does about events; the user's handlers come beside it. */
export function buildEffects(config: Config, base: WorkerBase): readonly Effect[] {
  const { portals, logger, rest, installation } = base;
  const forget = createForgetPortal(base);
  const effects: Effect[] = [
    connectorStateEffect(base.connectorStates),
    uninstallationEffect({
      portals,
      forget,
      logger,
      isConfigured: (memberId) => config.applicationTokens.has(memberId),
    }),
    paymentEffect({ portals, now: Date.now }),
  ];
  if (rest && installation) {
    const plan = async (): Promise<PortalPlan | undefined> =>
      portalPlanOf(config, await createHandledEvents(base).all());
    effects.push(installationEffect({ installer: installation.installer, rest: rest.rest, plan, logger }));
  }
  if (config.forwardUrl !== undefined) effects.push(buildForward(config, config.forwardUrl, base));
  return effects;
}

/** Of the first tries, and of the retries. */
export function destinationSlots(config: Config): { readonly first: number; readonly retry: number } {
  return { first: shareOf(config.deliveryConcurrency), retry: shareOf(config.effectConcurrency) };
}

function buildForward(config: Config, url: string, { dispatcher, logger }: WorkerBase): Effect {
  const destination = createDestination({
    slots: destinationSlots(config),
    restMs: config.effectBackoffMs,
    now: Date.now,
    onStateChange: (state) => logDestination(logger, state),
  });
  const { forwardSecrets: secrets, forwardEvents: events } = config;
  return forwardEffect({ url, secrets, events, destination, dispatcher, now: Date.now });
}

function shareOf(slots: number): number {
  return Math.max(1, Math.floor(slots * DESTINATION_SHARE));
}

function logDestination(logger: Logger, state: 'open' | 'closed'): void {
  if (state === 'open')
    logger.warn(
      { event: 'destination.resting', destination: 'forward' },
      'it keeps failing: spared until a test succeeds',
    );
  else logger.info({ event: 'destination.back', destination: 'forward' }, 'it takes events again');
}
