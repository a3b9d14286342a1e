import { randomUUID } from 'node:crypto';
import type { PortalCalls, RestClient } from '../../shared/bitrix24/rest/portal-calls.js';
import { errorMessage } from '../../shared/caught-error.js';
import type { Echoes } from '../../shared/echoes.js';
import { onlineHandlers, type Listener, type PortalPlan } from '../../shared/portal-setup.js';
import type { Portal, PortalStore, Suspension } from '../../shared/portals.js';
import { withTimeLimit } from '../../shared/time-limit.js';
import { isoOf } from '../moment.js';
import { lookAtEcho } from './look-at-echo.js';
import { fail, ok, warn, type Finding } from './finding.js';

export interface PortalLook {
  readonly portals: Pick<PortalStore, 'find'>;
  readonly rest: RestClient;
  /** undefined where PUBLIC_URL is not set. */
  readonly plan: PortalPlan | undefined;
  readonly echoes: Pick<Echoes, 'begin' | 'isHeard'>;
  readonly signal: AbortSignal;
  readonly echoTimeoutMs: number;
}

const RECORD_TIMEOUT_MS = 3000;
/** A call, the wait for its budget and the renewal of tokens included. */
const CALL_TIMEOUT_MS = 15_000;

/** Its record, its tokens, its events and their way back, one after the other: what comes later needs what came before. */
export async function lookAtPortal(memberId: string, look: PortalLook): Promise<readonly Finding[]> {
  const findings = await lookInTurn(memberId, look);
  return findings.map((finding) => ({ ...finding, memberId }));
}

async function lookInTurn(memberId: string, look: PortalLook): Promise<readonly Finding[]> {
  let portal: Portal | undefined;
  try {
    portal = await withTimeLimit(look.portals.find(memberId), RECORD_TIMEOUT_MS, 'the look at its record');
  } catch (error) {
    return [fail('record', errorMessage(error), 'give this command the key and the release of the other processes')];
  }
  if (!portal) return [fail('record', 'the app is not installed there', 'install it, or correct --portal')];
  const suspended = lookAtSuspension(portal.suspension);
  if (suspended) return [suspended];
  if (!portal.oauth)
    return [
      warn(
        'tokens',
        'there are none, so no REST call can be made',
        'install the app anew, if it is to call the portal',
      ),
    ];
  return lookByRest(portal, look);
}

const SUSPENSIONS: Readonly<Record<Suspension['reason'], { readonly found: string; readonly advice: string }>> = {
  payment: {
    found: 'its plan, or the app, is not paid for',
    advice: 'wait for the payment: it goes on by itself then',
  },
  deleted: { found: 'the portal was deleted', advice: 'remove it, if that is so: b24-events portals erase' },
  access: {
    found: 'it refuses the app access',
    advice: 'have an administrator of the portal look at the rights of the app',
  },
  overload: { found: 'it is overloaded', advice: 'wait: it is tried again by itself' },
  reauthorize: { found: 'its refresh token is dead', advice: 'have an administrator install the app anew' },
};

function lookAtSuspension(suspension: Suspension | null): Finding | undefined {
  if (!suspension) return undefined;
  const { found, advice } = SUSPENSIONS[suspension.reason];
  const told = `not called since ${isoOf(suspension.sinceMs)}: ${found}`;
  return suspension.reason === 'overload' ? warn('suspension', told, advice) : fail('suspension', told, advice);
}

async function lookByRest(portal: Portal, look: PortalLook): Promise<readonly Finding[]> {
  const { memberId } = portal;
  const openUntil = (signal: AbortSignal): PortalCalls =>
    look.rest.open({ memberId, runKey: `doctor.${randomUUID()}`, signal });
  const openToCleanUp = (): PortalCalls => openUntil(AbortSignal.timeout(CALL_TIMEOUT_MS));
  const open = (): PortalCalls => openUntil(AbortSignal.any([look.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]));
  let listeners: readonly Listener[];
  try {
    listeners = onlineHandlers(await open().call('event.get'));
  } catch (error) {
    return [fail('tokens', `a call fails: ${errorMessage(error)}`, 'docs/failures.md has each of these codes')];
  }
  const works = ok('tokens', `a call to ${portal.domain ?? 'it'} went well`);
  if (!look.plan)
    return [works, warn('events', 'not looked at, for PUBLIC_URL is not set', 'set it, so that events can be bound')];
  const events = lookAtEvents(look.plan, listeners);
  const echo = await lookAtEcho({
    memberId,
    open,
    openToCleanUp,
    listeners,
    ...look,
    handlerUrl: look.plan.handlerUrl,
  });
  return [works, ...events, echo];
}

const SUBSCRIBE = 'b24-events subscribe';

function lookAtEvents({ events, handlerUrl }: PortalPlan, listeners: readonly Listener[]): readonly Finding[] {
  const here = new Set(listeners.filter(({ handler }) => handler === handlerUrl).map(({ event }) => event));
  const missing = events.filter((event) => !here.has(event));
  const others = [...new Set(listeners.map(({ handler }) => handler))].filter((handler) => handler !== handlerUrl);
  const bound = lookAtBound(missing, events.length, others);
  if (others.length === 0) return [bound];
  const found = `the portal sends events of the app to ${hostsOf(others)} too`;
  return [
    bound,
    warn('other-addresses', found, 'unbind those that are not yours (event.unbind), and install nothing anew before'),
  ];
}

function lookAtBound(missing: readonly string[], count: number, others: readonly string[]): Finding {
  if (missing.length === 0) return ok('events', `all ${count} are bound to PUBLIC_URL`);
  const elsewhere = others.length === 0 ? '' : `; there are some at ${hostsOf(others)}`;
  return fail(
    'events',
    `${missing.length} of ${count} are not bound to PUBLIC_URL${elsewhere}: ${missing.join(', ')}`,
    SUBSCRIBE,
  );
}

/** Hosts alone: a path may hold something that only its owner is to know. */
function hostsOf(addresses: readonly string[]): string {
  return addresses
    .map((address) => (URL.canParse(address) ? new URL(address).host : 'an address that is none'))
    .join(', ');
}
