import type { JsonValue } from './bitrix24/event.js';
import type { PortalCalls } from './bitrix24/rest/portal-calls.js';
import { isPassingCode } from './bitrix24/rest/rest-answer.js';
import type { Config } from './config.js';
import type { ConnectorDefinition } from './connector-definition.js';
import { JobError } from './errors.js';
import { iconOf } from './connector-icon.js';

export interface PortalPlan {
  /** Where the portal sends its events: PUBLIC_URL and EVENTS_PATH. */
  readonly handlerUrl: string;
  /** In upper case. */
  readonly events: readonly string[];
  readonly connectors: readonly ConnectorDefinition[];
  /** The page that an administrator opens to switch a connector on. */
  readonly placementUrl: string;
}

/** Names of events that were bound now, of those that were bound before, and ids of connectors. */
export interface PortalSetup {
  readonly bound: string[];
  readonly already: string[];
  readonly registered: string[];
}

/** Bound for every app: the connectors' seven, and the app's life but for its beginning. */
export const defaultEvents: readonly string[] = [
  'ONIMCONNECTORMESSAGEADD',
  'ONIMCONNECTORMESSAGEUPDATE',
  'ONIMCONNECTORMESSAGEDELETE',
  'ONIMCONNECTORDIALOGSTART',
  'ONIMCONNECTORDIALOGFINISH',
  'ONIMCONNECTORSTATUSDELETE',
  'ONIMCONNECTORLINEDELETE',
  'ONAPPUNINSTALL',
  'ONAPPUPDATE',
  'ONAPPPAYMENT',
];

/**
 * What is to be bound: the default events, B24_EVENTS, and what handlers name. A pattern cannot be bound, and what comes by
 * `/incoming` is no event of the portal. ONAPPINSTALL is told by the installation page or by the portal's own setting, and would
 * come twice if a handler that listens to it had it bound; B24_EVENTS may name it all the same.
 */
export function plannedEvents(b24Events: readonly string[], handledEvents: readonly string[]): string[] {
  const handled = handledEvents.filter((name) => name.toUpperCase() !== 'ONAPPINSTALL');
  const names = [...defaultEvents, ...b24Events, ...handled].map((name) => name.toUpperCase());
  return [...new Set(names)].filter((name) => !name.includes('*') && !name.startsWith('INCOMING.'));
}

/** undefined where PUBLIC_URL is not set: Bitrix24 could not reach us. */
export function portalPlanOf(
  config: Pick<Config, 'publicUrl' | 'eventsPath' | 'b24Events' | 'b24Connectors'>,
  handledEvents: readonly string[],
): PortalPlan | undefined {
  const { publicUrl, eventsPath, b24Events, b24Connectors } = config;
  if (publicUrl === undefined) return undefined;
  return {
    handlerUrl: `${publicUrl}${eventsPath}`,
    events: plannedEvents(b24Events, handledEvents),
    connectors: b24Connectors,
    placementUrl: `${publicUrl}/connector`,
  };
}

/**
 * Binds the events that are missing at this address, and registers the connectors. Done again it changes nothing.
 *
 * What Bitrix24 refuses (an event that the app's scope lacks) does not keep the rest from being done: it is collected, and thrown
 * at the end.
 *
 * @throws {JobError} REST_UNAVAILABLE where something is to be tried again, REST_REFUSED with the names otherwise, and whatever a
 *   call throws.
 */
export async function setUpPortal(calls: PortalCalls, plan: PortalPlan): Promise<PortalSetup> {
  const before = boundAt(plan.handlerUrl, await calls.call('event.get'));
  const missing = plan.events.filter((name) => !before.has(name));
  const faults: Fault[] = [];
  const bound: string[] = [];
  const already = plan.events.filter((name) => before.has(name));
  for (let first = 0; first < missing.length; first += BATCH_MAX) {
    for (const { name, outcome } of await bind(calls, plan.handlerUrl, missing.slice(first, first + BATCH_MAX))) {
      if (outcome === 'bound') bound.push(name);
      else if (outcome === 'already') already.push(name);
      else faults.push(outcome);
    }
  }
  const registered: string[] = [];
  for (const connector of plan.connectors) {
    const fault = await register(calls, plan.placementUrl, connector);
    if (fault) faults.push(fault);
    else registered.push(connector.id);
  }
  if (faults.length > 0) throw errorOf(faults);
  return { bound, already, registered };
}

/** https://apidocs.bitrix24.com/limits.html */
const BATCH_MAX = 50;

/** One thing that Bitrix24 did not do: its code, and what of. */
interface Fault {
  readonly code: string;
  readonly what: string;
}

function boundAt(handlerUrl: string, handlers: JsonValue): ReadonlySet<string> {
  const ours = onlineHandlers(handlers).filter(({ handler }) => handler === handlerUrl);
  return new Set(ours.map(({ event }) => event));
}

/** An event, and the address to which the portal sends it. */
export interface Listener {
  readonly event: string;
  readonly handler: string;
}

/**
 * Who listens to what, by the answer of `event.get`; names in upper case. It gives no ids of the handlers, only where they point. An
 * offline one is a queue on Bitrix24's side, and calls nobody.
 */
export function onlineHandlers(answer: JsonValue): readonly Listener[] {
  return listOf(answer)
    .map(mapOf)
    .filter((handler) => Number(handler['offline'] ?? 0) === 0)
    .map((handler) => ({ event: textOf(handler['event']).toUpperCase(), handler: textOf(handler['handler']) }));
}

interface Binding {
  readonly name: string;
  readonly outcome: 'bound' | 'already' | Fault;
}

/** Several in one call, which counts once in the portal's budget. */
async function bind(calls: PortalCalls, handlerUrl: string, names: readonly string[]): Promise<readonly Binding[]> {
  const commands = names.map((name) => [
    name,
    `event.bind?${new URLSearchParams({ event: name, handler: handlerUrl }).toString()}`,
  ]);
  const answer = mapOf(await calls.call('batch', { halt: 0, cmd: Object.fromEntries(commands) }));
  const done = mapOf(answer['result']);
  const errors = mapOf(answer['result_error']);
  return names.map((name) => ({ name, outcome: outcomeOf(name, done[name], errors[name]) }));
}

function outcomeOf(name: string, done: JsonValue | undefined, error: JsonValue | undefined): Binding['outcome'] {
  if (error === undefined && Boolean(done)) return 'bound';
  const fields = mapOf(error);
  if (ALREADY.test(`${textOf(fields['error'])} ${textOf(fields['error_description'])}`)) return 'already';
  return { code: codeOf(fields['error']), what: `event.bind of ${name}` };
}

/** Two installations at the same moment both find it missing. The spelling is Bitrix24's own. */
const ALREADY = /already bind(?:ed)?\b|already bound/i;

/** A refusal may come with 200: `{"result": false, "error": …}`. Registered once more, it is brought up to date. */
async function register(
  calls: PortalCalls,
  placementUrl: string,
  connector: ConnectorDefinition,
): Promise<Fault | undefined> {
  const what = `imconnector.register of ${connector.id}`;
  try {
    const answer = mapOf(
      await calls.call('imconnector.register', {
        ID: connector.id,
        NAME: connector.name,
        ICON: iconOf(connector),
        PLACEMENT_HANDLER: placementUrl,
      }),
    );
    return answer['result'] === true ? undefined : { code: codeOf(answer['error']), what };
  } catch (error) {
    if (error instanceof JobError && error.code === 'REST_REFUSED') return { code: error.detail ?? error.code, what };
    throw error;
  }
}

/**
 * What is to be tried again comes first: that run then meets the refusals too. This is of calls within a batch; of a call of its
 * own the client has said so already.
 */
function errorOf(faults: readonly Fault[]): JobError {
  const passing = faults.filter(({ code }) => isPassingCode(code));
  if (passing.length > 0) return new JobError('REST_UNAVAILABLE', told(passing));
  return new JobError('REST_REFUSED', told(faults));
}

/** `ERROR_EVENT_NOT_FOUND: event.bind of ONCRMDEALADD, event.bind of ONCRMLEADADD; …`, by code. */
function told(faults: readonly Fault[]): string {
  const codes = [...new Set(faults.map(({ code }) => code))];
  const parts = codes.map((code) => {
    const whats = faults.filter((fault) => fault.code === code).map(({ what }) => what);
    return `${code}: ${whats.join(', ')}`;
  });
  const text = parts.join('; ');
  return text.length > DETAIL_LENGTH_MAX ? `${text.slice(0, DETAIL_LENGTH_MAX - 1)}…` : text;
}

const DETAIL_LENGTH_MAX = 500;

/** A code stands in logs and in reasons of jobs, so a portal cannot put what it likes there. */
function codeOf(code: JsonValue | undefined): string {
  return /^[\w.:-]{1,100}$/.test(textOf(code)) ? textOf(code) : 'an answer without a code';
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === 'string' ? value : '';
}

// An empty map is an empty list where PHP wrote it.

function mapOf(value: JsonValue | undefined): { readonly [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !isList(value) ? value : {};
}

function listOf(value: JsonValue): readonly JsonValue[] {
  return isList(value) ? value : [];
}

function isList(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}
