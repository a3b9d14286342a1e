import type { Dispatcher } from 'undici';
import { createCallAs, type CallAs } from './bitrix24/rest/call-as.js';
import { createHostRules, type HostRules } from './bitrix24/rest/host-rules.js';
import { createOAuthClient, type OAuthClient } from './bitrix24/rest/oauth-client.js';
import { createOutbound } from './bitrix24/rest/outbound.js';
import type { RestClient } from './bitrix24/rest/portal-calls.js';
import { createRenewals, type Renewals } from './bitrix24/rest/renewals.js';
import { createRestBudget, type RestBudget } from './bitrix24/rest/rest-budget.js';
import { createRestClient } from './bitrix24/rest/rest-client.js';
import { createRestTransport } from './bitrix24/rest/rest-transport.js';
import type { Config } from './config.js';
import { JobError } from './errors.js';
import type { Keys } from './keys.js';
import type { Logger } from './logger.js';
import { createPortalStore, type PortalStore } from './portals.js';
import { duplicateOf, type Redis } from './redis.js';
import type { Sealer } from './sealer.js';
import { resolvesWithin } from './time-limit.js';

/** Everything that speaks to Bitrix24, built once for a process. */
export interface RestStack {
  readonly clientId: string;
  readonly rules: HostRules;
  readonly oauth: OAuthClient;
  readonly callAs: CallAs;
  readonly rest: RestClient;
  readonly budget: RestBudget;
  readonly renewals: Renewals;
  close(): Promise<void>;
}

export interface RestStackDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly sealer: Sealer;
  readonly portals: PortalStore;
  readonly logger: Logger;
}

/** Longer than one call of the OAuth server may take. A process whose own end is bounded more tightly ends before it. */
const RENEWALS_END_MS = 20_000;

/**
 * Renewals have a connection of their own: they wait until Redis has a new pair on its disk, for up to a second, and with them all
 * that comes after them on the same connection.
 *
 * undefined where B24_CLIENT_ID is not set: without the app's own credentials no token can be proven or renewed.
 */
export function buildRest(config: Config, deps: RestStackDeps): RestStack | undefined {
  const { b24ClientId: clientId, b24ClientSecret: clientSecret, dataDir } = config;
  if (clientId === undefined || clientSecret === undefined) return undefined;
  const { dispatcher, rules } = buildOutbound(config);
  const transport = createRestTransport({ dispatcher, rules });
  const oauth = createOAuthClient({ dispatcher, rules, clientId, clientSecret });
  const budget = createRestBudget(deps);
  const ownRedis = duplicateOf(deps.redis);
  ownRedis.on('error', () => undefined);
  const ownPortals = createPortalStore({ ...deps, redis: ownRedis, prefix: config.queuePrefix });
  const renewals = createRenewals({
    ...deps,
    redis: ownRedis,
    portals: ownPortals,
    oauth,
    rules,
    dataDir,
    now: Date.now,
  });
  const rest = createRestClient({ ...deps, transport, rules, budget, renewals, now: Date.now });
  return {
    clientId,
    rules,
    oauth,
    callAs: createCallAs({ transport, rules }),
    rest,
    budget,
    renewals,
    async close() {
      // A pair that is on its way would be lost with its connection, and the portal with it.
      await resolvesWithin(renewals.settled(), RENEWALS_END_MS);
      await dispatcher.destroy();
      ownRedis.disconnect();
    },
  };
}

/** The hosts that may be called, and the only way to them. */
export function buildOutbound(config: Pick<Config, 'b24PortalHosts' | 'b24OauthHosts'>): {
  readonly dispatcher: Dispatcher;
  readonly rules: HostRules;
} {
  const rules = createHostRules({ portalHosts: config.b24PortalHosts, oauthHosts: config.b24OauthHosts });
  return { dispatcher: createOutbound(rules), rules };
}

/** For a process without the app's credentials. */
export const withoutRest: RestClient = {
  open: () => ({
    call: () => Promise.reject(new JobError('PORTAL_NOT_INSTALLED', 'B24_CLIENT_ID is not set')),
  }),
};
