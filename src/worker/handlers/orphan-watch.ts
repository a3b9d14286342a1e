import { workerData } from 'node:worker_threads';

// A thread of a handler host: ends the process as soon as another one than the worker is its parent.

const LOOK_EVERY_MS = 500;

setInterval(() => {
  if (process.ppid !== workerData) process.kill(process.pid, 'SIGKILL');
}, LOOK_EVERY_MS);
