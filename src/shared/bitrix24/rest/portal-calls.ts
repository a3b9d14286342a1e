import type { JsonValue } from '../event.js';

/**
 * REST calls to portals as the app, with the tokens that are kept for each portal. Everything that a caller would have to know of
 * tokens, renewal, budgets, renames and redirects is behind this.
 */
export interface RestClient {
  /** The calls of one run of one effect (or of a command): they share its place in the portal's budget. */
  open(run: RestRun): PortalCalls;
}

export interface RestRun {
  readonly memberId: string;
  /** The same for every attempt at the same work, so that one that waited for the budget finds its place again. */
  readonly runKey: string;
  readonly signal: AbortSignal;
}

export interface PortalCalls {
  /**
   * Calls a method, `imconnector.send.status.delivery`, and gives its `result`.
   *
   * @throws {JobError} PORTAL_SUSPENDED, PORTAL_NOT_INSTALLED, REST_BUDGET, REST_UNREACHABLE, REST_UNAVAILABLE, REST_REFUSED,
   *   REST_UNEXPECTED or REST_HOST_REFUSED; `detail` begins with Bitrix24's own code where it gave one.
   */
  call(method: string, params?: RestParams): Promise<JsonValue>;
}

export type RestParams = { readonly [name: string]: JsonValue };
