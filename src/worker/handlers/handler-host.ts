import { Worker } from 'node:worker_threads';
import type { HostMessage, WorkerMessage } from './host-messages.js';
import { HostRuns } from './host-runs.js';
import { knowPackageName } from './know-package-name.js';
import { loadModules } from './load-modules.js';

// The process in which handlers run. It knows no secret: whatever needs one is asked of the worker, its parent.

const BEAT_MS = 500;

const [dir = '', parentPid = ''] = process.argv.slice(2);

/** Bound before any foreign code could put something else in its place. */
const sendToParent = process.send?.bind(process);

function send(message: HostMessage): void {
  // Without a parent there is nobody to tell; `disconnect` ends this process then.
  if (process.connected) sendToParent?.(message, undefined, undefined, () => undefined);
}

/** Whoever stops the worker may signal the whole group; the worker alone says when a host ends. */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.once('disconnect', () => process.exit(0));
// In a thread of its own: a handler that never gives back the loop would outlive a worker that was killed.
new Worker(new URL('./orphan-watch.js', import.meta.url), { workerData: Number(parentPid) }).unref();

knowPackageName();
const loaded = await loadModules({
  dir,
  runsTypeScript: Boolean(Reflect.get(process.features, 'typescript')),
  onFile: (file) => send({ type: 'loading', file }),
});
if (loaded.ok) {
  const runs = new HostRuns({ handlers: loaded.handlers, send });
  process.on('message', (message) => runs.take(message as WorkerMessage));
  setInterval(() => send({ type: 'beat' }), BEAT_MS);
  const handlers = [...loaded.handlers.values()].map(({ name, events }) => ({ name, events: [...events] }));
  send({ type: 'loaded', handlers });
} else {
  send({ type: 'faults', faults: [...loaded.faults] });
}
