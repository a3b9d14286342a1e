import { runProcess } from '../shared/process-lifecycle.js';
import { startWorker } from './start-worker.js';

await runProcess({ name: 'worker', start: startWorker, opsPort: 'workerOpsPort' });
