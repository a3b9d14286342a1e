import type { Params } from './method-params.js';
import type { Cloud, PortalState } from './portal-state.js';
import type { TokenOwner } from './token-book.js';

/** What a REST method works on. */
export interface MethodCall {
  /** As they came, without the token. */
  readonly params: Params;
  readonly owner: TokenOwner;
  readonly portal: PortalState;
  readonly cloud: Cloud;
  /** Posts an event to the handlers bound for it, as the queue server does: later, and nobody waits for it. */
  readonly fire: (event: string, data: Params) => void;
}

/** Gives the `result`. @throws {RestFault} */
export type RestMethod = (call: MethodCall) => unknown;

export type RestMethods = Readonly<Record<string, RestMethod>>;
