import type { Config } from '../shared/config.js';
import type { Logger } from '../shared/logger.js';

/** What is not wrong, yet makes every event go for nothing: POSTs are answered with 200 all the same, and nothing else would say so. */
export function warnIdle(logger: Logger, config: Config): void {
  if (config.applicationTokens.size === 0 && config.b24ClientId === undefined)
    logger.warn(
      { event: 'config.no_portals' },
      'no portal is believed, and every event fails: set APPLICATION_TOKENS, or B24_CLIENT_ID to be installed',
    );
  if (config.forwardUrl === undefined && config.handlersDir === undefined)
    logger.warn(
      { event: 'config.no_effects' },
      'nothing is done about events but to keep the state of connectors: set HANDLERS_DIR or FORWARD_URL',
    );
}
