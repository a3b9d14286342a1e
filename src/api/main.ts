import cluster from 'node:cluster';
import { runProcess } from '../shared/process-lifecycle.js';
import { startIngressProcesses } from './ingress-processes.js';
import { startIngress } from './start-ingress.js';

await runProcess('ingress', (config, logger, fail) => {
  if (!cluster.isPrimary || config.apiProcesses === 1) return startIngress(config, logger, fail);
  return startIngressProcesses(config.apiProcesses, { logger, fail });
});
