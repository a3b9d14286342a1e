import {
  APP_SCOPE,
  APP_STATUS,
  clientEndpointOf,
  ownerOf,
  serverEndpointOf,
  type Cloud,
  type PortalState,
} from './portal-state.js';
import { phpQuery } from './php-query.js';
import type { TokenPair } from './token-book.js';

export interface EventParts {
  readonly event: string;
  readonly handlerId: number;
  readonly data: unknown;
  /** Unix seconds. */
  readonly ts: number;
  readonly auth: Readonly<Record<string, unknown>>;
}

/** The events of the app's life, which name no handler; the dialog events name `eventId` in its place, as in the documents. */
const LIFE_EVENTS = new Set(['ONAPPINSTALL', 'ONAPPUPDATE', 'ONAPPUNINSTALL', 'ONAPPPAYMENT']);
const DIALOG_EVENTS = new Set(['ONIMCONNECTORDIALOGSTART', 'ONIMCONNECTORDIALOGFINISH']);

/** The body of an event, its keys in the sender's order. */
export function eventBody({ event, handlerId, data, ts, auth }: EventParts): string {
  const handler = DIALOG_EVENTS.has(event) ? { eventId: 1 } : { event_handler_id: handlerId };
  return phpQuery({ event, ...(!LIFE_EVENTS.has(event) && handler), data, ts, auth });
}

/**
 * `auth` of an event. Those of the app's life and of dialogs carry a refresh token, and neither `expires` nor `user_id`; the
 * uninstallation carries no tokens. `pair` is undefined where nobody stands behind an event.
 */
export function eventAuth(
  { cloud, state }: { readonly cloud: Cloud; readonly state: PortalState },
  event: string,
  pair: TokenPair | undefined,
): Readonly<Record<string, unknown>> {
  const names = {
    domain: state.host,
    server_endpoint: serverEndpointOf(cloud),
    client_endpoint: clientEndpointOf(state),
    member_id: state.memberId,
    application_token: state.applicationToken,
  };
  if (event === 'ONAPPUNINSTALL') return names;
  const { domain, server_endpoint, client_endpoint, member_id, application_token } = names;
  const known = { scope: APP_SCOPE, domain, server_endpoint, status: APP_STATUS, client_endpoint, member_id };
  if (!pair) return { ...known, application_token };
  const tokens = { access_token: pair.accessToken, expires_in: pair.expiresInSeconds };
  if (LIFE_EVENTS.has(event) || DIALOG_EVENTS.has(event))
    return { ...tokens, ...known, application_token, refresh_token: pair.refreshToken };
  const { access_token, expires_in } = tokens;
  const expires = Math.floor(pair.expiresAtMs / 1000);
  return { access_token, expires, expires_in, ...known, user_id: pair.owner.userId, application_token };
}

/** The tokens in the events of a portal: of the employee who writes, the same pair for as long as it holds. */
export class ActingTokens {
  readonly #cloud: Cloud;
  readonly #state: PortalState;
  #pair: TokenPair | undefined;

  constructor(cloud: Cloud, state: PortalState) {
    this.#cloud = cloud;
    this.#state = state;
  }

  pair(): TokenPair {
    const held = this.#pair && this.#cloud.tokens.accessState(this.#pair.accessToken);
    if (this.#pair && held?.kind === 'valid') return this.#pair;
    this.#pair = this.#cloud.tokens.issue(ownerOf(this.#cloud, this.#state, this.#state.employee));
    return this.#pair;
  }
}
