import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHostRules } from '../../src/shared/bitrix24/rest/host-rules.js';
import { createOAuthClient } from '../../src/shared/bitrix24/rest/oauth-client.js';
import { createOutbound } from '../../src/shared/bitrix24/rest/outbound.js';
import type { PortalCalls, RestClient } from '../../src/shared/bitrix24/rest/portal-calls.js';
import { createRenewals, type Renewals, type RenewalTimes } from '../../src/shared/bitrix24/rest/renewals.js';
import { createRestBudget, type BudgetLimits, type RestBudget } from '../../src/shared/bitrix24/rest/rest-budget.js';
import { createRestClient } from '../../src/shared/bitrix24/rest/rest-client.js';
import { createRestTransport } from '../../src/shared/bitrix24/rest/rest-transport.js';
import { createLogger } from '../../src/shared/logger.js';
import { createPortalStore, emptyPortal, type Portal, type PortalStore } from '../../src/shared/portals.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectPatiently } from '../../src/shared/redis.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { startRestServer, type RestServer } from './rest-server.js';
import { silentLogger, type SharedRedisUse } from './shared-redis.js';

/** What one worker has: everything of its own but the Redis and, with the others of its machine, the data folder. */
export interface RestProcess {
  readonly portals: PortalStore;
  readonly renewals: Renewals;
  readonly budget: RestBudget;
  readonly rest: RestClient;
  /** When each run last asked for a call that it was given, by its key. */
  readonly askedAtMs: ReadonlyMap<string, number>;
  /** Lines of the log, parsed. */
  readonly lines: readonly Record<string, unknown>[];
  readonly calls: (memberId: string, runKey?: string) => PortalCalls;
}

export interface RestWorld {
  readonly portal: RestServer;
  /** Where a portal has its new address after a rename. */
  readonly renamed: RestServer;
  readonly oauth: RestServer;
  readonly dataDir: string;
  process(options?: ProcessOptions): RestProcess;
  /** A portal with the tokens access-1 and refresh-1, of generation 1. */
  install(changes?: Partial<Portal>): Promise<Portal>;
  close(): Promise<void>;
}

export interface ProcessOptions {
  readonly dataDir?: string;
  readonly limits?: BudgetLimits;
  readonly times?: Partial<RenewalTimes>;
  readonly now?: () => number;
}

const MANY = { callsPerSecond: 1000, burst: 1000 };

export async function createRestWorld(shared: SharedRedisUse): Promise<RestWorld> {
  const [portal, renamed, oauth] = await Promise.all([startRestServer(), startRestServer(), startRestServer()]);
  const dataDir = await mkdtemp(join(tmpdir(), 'b24-test-rest-'));
  const rules = createHostRules({ portalHosts: [portal.entry, renamed.entry], oauthHosts: [oauth.entry] });
  const sealer = createSealer({ current: toSecretKey(Buffer.alloc(32, 9)), previous: [] });
  const { keys, prefix } = shared;
  const ends: (() => Promise<void>)[] = [];
  const own = createPortalStore({ redis: shared.redis, keys, sealer, prefix });
  let installed = 0;

  return {
    portal,
    renamed,
    oauth,
    dataDir,
    process(options = {}) {
      const redis = connectPatiently(singleRedis(shared.url), silentLogger);
      const dispatcher = createOutbound(rules);
      const lines: Record<string, unknown>[] = [];
      const logger = createLogger('info', 'test', { write: (line) => void lines.push(JSON.parse(line)) });
      const portals = createPortalStore({ redis, keys, sealer, prefix });
      const limits = options.limits ?? MANY;
      const askedAtMs = new Map<string, number>();
      const shares = createRestBudget({ redis, keys, limits: { standard: limits, enterprise: limits } });
      const budget: RestBudget = {
        ...shares,
        take(request) {
          askedAtMs.set(request.runKey, Date.now());
          return shares.take(request);
        },
      };
      const now = options.now ?? Date.now;
      const app = { clientId: 'local.1', clientSecret: 'the-secret', timeoutMs: 3000 };
      const oauthClient = createOAuthClient({ dispatcher, rules, ...app });
      const store = { redis, keys, sealer, portals, logger, now, rules };
      const kept = { dataDir: options.dataDir ?? dataDir, times: options.times ?? {} };
      const renewals = createRenewals({ ...store, ...kept, oauth: oauthClient });
      const transport = createRestTransport({ dispatcher, rules, timeoutMs: 3000 });
      const rest = createRestClient({ portals, transport, rules, budget, renewals, logger, now });
      ends.push(async () => {
        await renewals.settled();
        await dispatcher.destroy();
        redis.disconnect();
      });
      const calls = (memberId: string, runKey = 'a run') => {
        const { signal } = new AbortController();
        return rest.open({ memberId, runKey, signal });
      };
      return { portals, renewals, budget, rest, askedAtMs, lines, calls };
    },
    async install(changes = {}) {
      installed += 1;
      const record: Portal = {
        ...emptyPortal(`portal-${installed}`),
        clientEndpoint: portal.endpoint,
        serverEndpoint: oauth.endpoint,
        oauth: { accessToken: 'access-1', refreshToken: 'refresh-1', userId: 1, generation: 1 },
        installedAtMs: 1000,
        ...changes,
      };
      await own.save(record);
      return record;
    },
    async close() {
      for (const end of ends) await end();
      await Promise.all([portal.close(), renamed.close(), oauth.close()]);
      await rm(dataDir, { recursive: true });
    },
  };
}
