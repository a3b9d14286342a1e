import { randomBytes } from 'node:crypto';
import type { Posted } from './event-poster.js';
import type { EventSender } from './event-sender.js';
import { phpQuery } from './php-query.js';
import {
  APP_SCOPE,
  APP_STATUS,
  newApplicationToken,
  ownerOf,
  serverEndpointOf,
  type Cloud,
  type PortalState,
  type PortalUser,
} from './portal-state.js';

export interface PortalLifeDeps {
  readonly cloud: Cloud;
  readonly state: PortalState;
  readonly sender: EventSender;
}

export interface Installation {
  /** Where events go that no handler is bound for. */
  readonly eventsUrl?: string;
  /** The app's installation page: the portal opens it, and sends no ONAPPINSTALL. */
  readonly page?: string;
}

export interface Placement {
  readonly url: string;
  readonly connector: string;
  readonly line: number;
  readonly userIsAdmin?: boolean;
}

const LANGUAGE = 'en';

/** By the event, which says the same as the page would. */
export async function install(deps: PortalLifeDeps, { eventsUrl, page }: Installation): Promise<Posted> {
  const { state } = deps;
  state.eventsUrl = eventsUrl ?? state.eventsUrl;
  if (page !== undefined) return openInstallationPage(deps, page);
  state.isInstalled = true;
  const data = { VERSION: `${state.version}.0.0`, ACTIVE: 'Y', INSTALLED: 'Y', LANGUAGE_ID: LANGUAGE };
  return sendAsAdmin(deps, 'ONAPPINSTALL', data);
}

/** The installation is complete once the page says so to the portal, by a script that only a browser could run. */
async function openInstallationPage(deps: PortalLifeDeps, page: string): Promise<Posted> {
  const posted = await openPage(deps, page, { user: deps.state.admin, fields: { PLACEMENT: 'DEFAULT' } });
  const isFinished = posted.kind === 'answered' && posted.body.includes('BX24.installFinish');
  deps.state.isInstalled ||= isFinished;
  return posted;
}

/** All handlers are gone afterwards, as in Bitrix24: the installer of each version binds its own. */
export async function update(deps: PortalLifeDeps, { newToken }: { readonly newToken: boolean }): Promise<Posted> {
  const { state } = deps;
  const before = state.handlers.find(({ event }) => event === 'ONAPPUPDATE')?.url;
  const previous = `${state.version}.0.0`;
  state.handlers = [];
  state.version += 1;
  if (newToken) state.applicationToken = newApplicationToken();
  const data = { VERSION: `${state.version}.0.0`, PREVIOUS_VERSION: previous, LANGUAGE_ID: LANGUAGE };
  return sendAsAdmin(deps, 'ONAPPUPDATE', data, before);
}

/** Tokens, handlers and connectors are gone when the event is sent. */
export async function uninstall(deps: PortalLifeDeps, { clean }: { readonly clean: boolean }): Promise<Posted> {
  const { cloud, state, sender } = deps;
  const prepared = sender.prepare('ONAPPUNINSTALL', { LANGUAGE_ID: LANGUAGE, CLEAN: clean ? 1 : 0 });
  cloud.tokens.revoke(state.memberId);
  state.isInstalled = false;
  state.handlers = [];
  state.connectors.clear();
  return sender.post(prepared);
}

/** `expired`: the plan or the app is no longer paid for, and the portal refuses all calls until it is. */
export async function pay(
  { state, sender }: PortalLifeDeps,
  { expired }: { readonly expired: boolean },
): Promise<Posted> {
  state.faults.refusal = expired ? 'PAYMENT_REQUIRED' : null;
  const data = {
    CODE: 'simulated.app',
    VERSION: state.version,
    STATUS: 'S',
    PAYMENT_EXPIRED: expired ? 'Y' : 'N',
    DAYS: expired ? 0 : 28,
    LANGUAGE_ID: LANGUAGE,
  };
  return sender.post(sender.prepare('ONAPPPAYMENT', data, { withTokens: false }));
}

/** The page of a connector's settings, as the portal opens it for one line. */
export function openPlacement(deps: PortalLifeDeps, placement: Placement): Promise<Posted> {
  const { url, connector, line, userIsAdmin = true } = placement;
  const { state } = deps;
  const isActive = state.connectors.get(connector)?.lines.get(line)?.isActive === true;
  const options = { LINE: line, ACTIVE_STATUS: isActive ? 1 : 0, CONNECTOR: connector };
  const fields = { PLACEMENT: 'SETTING_CONNECTOR', PLACEMENT_OPTIONS: JSON.stringify(options) };
  return openPage(deps, url, { user: userIsAdmin ? state.admin : state.employee, fields });
}

/** What a portal posts, through the person's browser, to each page of an app that it opens in a frame. */
function openPage(
  { cloud, state }: PortalLifeDeps,
  page: string,
  { user, fields }: { readonly user: PortalUser; readonly fields: Readonly<Record<string, string>> },
): Promise<Posted> {
  const url = new URL(page);
  url.searchParams.set('DOMAIN', state.host);
  url.searchParams.set('PROTOCOL', '0');
  url.searchParams.set('LANG', LANGUAGE);
  url.searchParams.set('APP_SID', randomBytes(16).toString('hex'));
  const pair = cloud.tokens.issue(ownerOf(cloud, state, user));
  const form = {
    AUTH_ID: pair.accessToken,
    AUTH_EXPIRES: pair.expiresInSeconds,
    REFRESH_ID: pair.refreshToken,
    SERVER_ENDPOINT: serverEndpointOf(cloud),
    APPLICATION_TOKEN: state.applicationToken,
    APPLICATION_SCOPE: APP_SCOPE,
    member_id: state.memberId,
    status: APP_STATUS,
    ...fields,
  };
  return cloud.poster.post({ url: url.href, body: phpQuery(form), headers: { accept: 'text/html' } });
}

function sendAsAdmin(
  { cloud, state, sender }: PortalLifeDeps,
  event: string,
  ...[data, url]: [data: unknown, url?: string | undefined]
): Promise<Posted> {
  const tokens = cloud.tokens.issue(ownerOf(cloud, state, state.admin));
  const isUnbound = !state.handlers.some((handler) => handler.event === event);
  const elsewhere = url !== undefined && isUnbound && state.eventsUrl === null ? { url } : {};
  return sender.post(sender.prepare(event, data, { tokens, ...elsewhere }));
}
