import cluster from 'node:cluster';
import { runProcess } from '../shared/process-lifecycle.js';
import { answerOps } from './answer-ops.js';
import { startIngressProcesses } from './ingress-processes.js';
import { startIngress } from './start-ingress.js';

// The journal holds what customers write.
process.umask(0o077);

await runProcess({
  name: 'ingress',
  opsPort: cluster.isPrimary ? 'apiOpsPort' : undefined,
  start(context) {
    if (!cluster.isPrimary) answerOps(context.ops);
    const { apiProcesses } = context.config;
    if (!cluster.isPrimary || apiProcesses === 1) return startIngress(context);
    return startIngressProcesses(apiProcesses, context);
  },
});
