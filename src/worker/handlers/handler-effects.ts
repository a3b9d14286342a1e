import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { RestClient } from '../../shared/bitrix24/rest/portal-calls.js';
import { isProbeDue, suspendedError } from '../../shared/bitrix24/rest/suspensions.js';
import type { ConnectorStates } from '../../shared/connector-states.js';
import { JobError } from '../../shared/errors.js';
import type { Logger } from '../../shared/logger.js';
import type { Portal, PortalStore } from '../../shared/portals.js';
import { createDestination, type Lane } from '../destination.js';
import type { Effect, EffectRun } from '../effects/effect.js';
import { scrub } from '../scrub.js';
import type { HandlerPortal } from './define-handler.js';
import { eventMatcher, namesIn } from './event-patterns.js';
import { HandlerPool } from './handler-pool.js';
import type { Environment } from './host-environment.js';
import type { HandlerFacts, RunOrder } from './host-messages.js';
import type { OnceStore } from './once-store.js';
import { createRunServices } from './run-services.js';
import { untilAborted } from '../../shared/until-aborted.js';

export interface HandlersDeps {
  readonly dir: string;
  /** Of the worker; what is secret in it is not passed on to the handlers. */
  readonly env: Environment;
  readonly logger: Logger;
  /** What each handler may take at most of the slots of the two queues. */
  readonly slots: Readonly<Record<Lane, number>>;
  /** The shortest wait of a run for which there was no slot. */
  readonly restMs: number;
  readonly rest: RestClient;
  readonly portals: Pick<PortalStore, 'find'>;
  readonly connectorStates: Pick<ConnectorStates, 'isOn'>;
  readonly once: OnceStore;
  readonly now: () => number;
  /** The rest is for tests. */
  readonly random?: () => number;
  readonly hostFile?: string;
  readonly graceMs?: number;
  readonly silenceMsMax?: number;
  readonly setAsideMs?: number;
  readonly loadTimeoutMs?: number;
}

export interface Handlers {
  readonly effects: readonly Effect[];
  /** Names of events that a handler wants, without those of a pattern. */
  readonly events: readonly string[];
  /** Ends their processes. */
  stop(): Promise<void>;
}

const GRACE_MS = 2000;
const SILENCE_MS_MAX = 5000;
const SET_ASIDE_MS = 600_000;
const LOAD_TIMEOUT_MS = 30_000;

/**
 * One effect for each handler in the folder.
 *
 * @throws {StartError} with all that is wrong with them.
 */
export async function loadHandlers(deps: HandlersDeps): Promise<Handlers> {
  const pool = new HandlerPool({
    hostFile: fileURLToPath(new URL('./handler-host.js', import.meta.url)),
    graceMs: GRACE_MS,
    silenceMsMax: SILENCE_MS_MAX,
    setAsideMs: SET_ASIDE_MS,
    loadTimeoutMs: LOAD_TIMEOUT_MS,
    random: Math.random,
    ...deps,
  });
  const handlers = await pool.start();
  return {
    effects: handlers.map((handler) => effectOf(handler, deps, pool)),
    events: [...new Set(handlers.flatMap(({ events }) => namesIn(events)))],
    stop: () => pool.stop(),
  };
}

function effectOf({ name: handler, events }: HandlerFacts, deps: HandlersDeps, pool: HandlerPool): Effect {
  const name = `handler-${handler}`;
  const isWanted = eventMatcher(events);
  const { slots, restMs, now } = deps;
  return {
    name,
    // Without a breaker: all portals share a handler, and one that is broken must not stop the others.
    destination: createDestination({ slots, restMs, now, breaks: false }),
    wants: (event) => isWanted(event.name),
    async run(run) {
      const { signal } = run;
      const order = orderOf(handler, run, await portalOf(deps, run));
      const task = createRunServices(deps, { order, effect: name, id: randomUUID(), signal });
      try {
        await pool.run({ task, signal });
      } catch (error) {
        if (!(error instanceof JobError)) throw error;
        // What a handler throws because it was told to stop is nothing that it says by itself.
        if (signal.aborted && error.code === 'HANDLER_FAILED') throw signal.reason;
        throw retold(error, run, deps.logger);
      }
    },
    // Only when a person has to look may a step be begun again whose end is not known.
    afterGivenUp: (eventId) => deps.once.release(eventId, name),
    afterDone: (eventId) => deps.once.forget(eventId, name),
  };
}

function orderOf(handler: string, { event, eventId, delivery }: EffectRun, portal: HandlerPortal): RunOrder {
  const { id: deliveryId, receivedAtMs } = delivery;
  return { handler, event: JSON.stringify(event), portal, eventId, deliveryId, receivedAtMs };
}

/** Its detail may be the words of foreign code. */
function retold(error: JobError, { eventId, secrets }: EffectRun, logger: Logger): JobError {
  const { code, retryAfterMs, isSent, cause } = error;
  const detail = error.detail === undefined ? undefined : scrub(error.detail, secrets);
  if (code === 'HANDLER_FAILED' && typeof cause === 'string')
    logger.warn(
      { event: 'handler.failed', eventId, reason: detail, stack: scrub(cause, secrets) },
      'the handler threw',
    );
  return detail === undefined ? error : new JobError(code, detail, { retryAfterMs, isSent });
}

/** @throws {JobError} PORTAL_SUSPENDED where a handler would only learn from its calls that they are not possible. */
async function portalOf(deps: HandlersDeps, { event, signal }: EffectRun): Promise<HandlerPortal> {
  const { memberId, domain } = event.auth;
  const portal = await untilAborted(signal, deps.portals.find(memberId));
  const nowMs = deps.now();
  if (portal?.suspension && !isProbeDue(portal.suspension, nowMs)) throw suspendedError(portal.suspension, nowMs);
  return {
    memberId,
    domain: portal?.domain ?? domain,
    host: hostOf(portal),
    isInstalled: portal !== undefined && portal.oauth !== null,
  };
}

function hostOf(portal: Portal | undefined): string | null {
  const endpoint = portal?.oauth ? portal.clientEndpoint : null;
  return endpoint !== null && URL.canParse(endpoint) ? new URL(endpoint).host : null;
}
