import { Worker } from 'node:worker_threads';
import { HostRuns } from './host-runs.js';
import { killGroup } from './kill-group.js';
import { knowPackageName } from './know-package-name.js';
import { loadModules } from './load-modules.js';
import { takeParentChannel } from './parent-channel.js';

// The process in which handlers run. It knows no secret: whatever needs one is asked of the worker, its parent.

const [dir = '', parentPid = ''] = process.argv.slice(2);

const { send, listen } = takeParentChannel();

/** Whoever stops the worker may signal the whole group; the worker alone says when a host ends. */
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.once('disconnect', () => {
  // The last of all listeners: those of the handlers may still tidy up.
  process.once('exit', killGroup);
  process.exit(0);
});
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
  listen((message) => runs.take(message));
  const handlers = [...loaded.handlers.values()].map(({ name, events }) => ({ name, events: [...events] }));
  send({ type: 'loaded', handlers });
} else {
  send({ type: 'faults', faults: [...loaded.faults] });
}
