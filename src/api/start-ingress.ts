import cluster from 'node:cluster';
import type { Start } from '../shared/process-lifecycle.js';
import { DEFAULT_REDIS_URL } from '../shared/redis.js';
import { createSealer } from '../shared/sealer.js';
import { loadSecretKeys } from '../shared/secret-keys.js';
import { openConnectorParts } from './pages/connector-parts.js';
import { Drain } from './drain.js';
import { Journals } from './journals.js';
import { SenderList } from './sender-list.js';
import { startServer } from './server.js';

/** Opens the journal, drains what was left, listens; ends in reverse. Redis may be down all the while. */
export const startIngress: Start = async (config, logger) => {
  // Else cluster ends this process at once when the primary is gone, with its requests unanswered.
  if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
  const secretKeys = await loadSecretKeys(config);
  const senders = await SenderList.start({ config, logger });
  const journals = await Journals.open({ ...config, logger });
  const drain = await Drain.start({
    journals,
    redisUrl: config.redisUrl ?? DEFAULT_REDIS_URL,
    queuePrefix: config.queuePrefix,
    secretKeys,
    logger,
  });
  const sealer = createSealer(secretKeys);
  const connectorParts = config.b24ClientId === undefined ? undefined : openConnectorParts({ config, sealer, logger });
  const server = await startServer({ config, senders, journals, sealer, logger, connectorParts });
  logger.info({ event: 'ingress.listening', url: server.url }, 'listening');

  return {
    details: { url: server.url },
    async stop() {
      await server.stop();
      senders.stop();
      await connectorParts?.close();
      await drain.close();
      await journals.close();
    },
  };
};
