import cluster from 'node:cluster';
import { runProcess } from '../shared/process-lifecycle.js';
import { startIngressProcesses } from './ingress-processes.js';
import { startIngress } from './start-ingress.js';

await runProcess('api', (config, logger) => {
  if (!cluster.isPrimary || config.apiProcesses === 1) return startIngress(config, logger);
  return startIngressProcesses(config.apiProcesses, logger);
});
