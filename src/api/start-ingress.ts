import cluster from 'node:cluster';
import { startAlerts } from '../shared/alerts/start-alerts.js';
import type { Start } from '../shared/process-lifecycle.js';
import { redisAddressOf } from '../shared/redis-address.js';
import { createSealer } from '../shared/sealer.js';
import { loadSecretKeys } from '../shared/secret-keys.js';
import { openConnectorParts } from './pages/connector-parts.js';
import { Drain } from './drain.js';
import { createIngressAlerts } from './ingress-alerts.js';
import { addStateMetrics, createIntakeMetrics } from './ingress-metrics.js';
import { Journals } from './journals.js';
import { createLookAtIngress, ingressReadiness } from './look-at-ingress.js';
import { SenderList } from './sender-list.js';
import { startServer } from './server.js';

/** Opens the journal, drains what was left, listens; ends in reverse. Redis may be down all the while. */
export const startIngress: Start = async ({ config, logger, ops, tracing }) => {
  // Else cluster ends this process at once when the primary is gone, with its requests unanswered.
  if (cluster.worker) cluster.worker.exitedAfterDisconnect = true;
  const secretKeys = await loadSecretKeys(config);
  const senders = await SenderList.start({ config, logger });
  const journals = await Journals.open({ ...config, logger });
  const drain = await Drain.start({
    journals,
    redis: redisAddressOf(config),
    queuePrefix: config.queuePrefix,
    secretKeys,
    logger,
    tracing,
  });
  const sealer = createSealer(secretKeys);
  const connectorParts = config.b24ClientId === undefined ? undefined : openConnectorParts({ config, sealer, logger });
  const look = createLookAtIngress({ journals, drain, nowMs: Date.now });
  addStateMetrics(ops.registry, look);
  const metrics = createIntakeMetrics(ops.registry);
  const server = await startServer({ config, senders, journals, sealer, logger, metrics, tracing, connectorParts });
  logger.info({ event: 'ingress.listening', url: server.url }, 'listening');
  const rules = createIngressAlerts({ look, nowMs: () => performance.now() });
  const alerts = startAlerts({ config, processName: 'ingress', logger, rules });
  ops.readyWhen(async () => ingressReadiness(await look()));

  return {
    details: { url: server.url },
    async stop() {
      await server.stop();
      alerts.stop();
      senders.stop();
      await connectorParts?.close();
      await drain.close();
      await journals.close();
    },
  };
};
