import { createCallAs } from '../../shared/bitrix24/rest/call-as.js';
import { createRestTransport } from '../../shared/bitrix24/rest/rest-transport.js';
import type { Config } from '../../shared/config.js';
import { createConnectorStates } from '../../shared/connector-states.js';
import { createKeys } from '../../shared/keys.js';
import type { Logger } from '../../shared/logger.js';
import { createPortalStore } from '../../shared/portals.js';
import { redisAddressOf, type RedisSettings } from '../../shared/redis-address.js';
import { connectFailingFast } from '../../shared/redis.js';
import { buildOutbound } from '../../shared/rest-stack.js';
import type { Sealer } from '../../shared/sealer.js';
import type { ConnectorPageDeps } from './connector-page.js';

/** What the page of a connector needs beside what every route has. */
export interface ConnectorParts extends Pick<ConnectorPageDeps, 'portals' | 'states' | 'callAs'> {
  close(): Promise<void>;
}

export interface ConnectorPartsDeps {
  readonly config: RedisSettings & Pick<Config, 'b24PortalHosts' | 'b24OauthHosts'>;
  readonly sealer: Sealer;
  readonly logger: Logger;
}

/** A connection of its own, that fails at once where Redis is down: a person waits for the page, and the drain must not. */
export function openConnectorParts({ config, sealer, logger }: ConnectorPartsDeps): ConnectorParts {
  const redis = connectFailingFast(redisAddressOf(config), logger);
  const keys = createKeys(config.queuePrefix);
  const { rules, dispatcher } = buildOutbound(config);
  return {
    portals: createPortalStore({ redis, keys, sealer, prefix: config.queuePrefix }),
    states: createConnectorStates({ redis, keys }),
    callAs: createCallAs({ transport: createRestTransport({ rules, dispatcher }), rules }),
    async close() {
      redis.disconnect();
      await dispatcher.destroy();
    },
  };
}
