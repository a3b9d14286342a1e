import { workerData } from 'node:worker_threads';
import { killGroup } from './kill-group.js';

// A thread of a handler host: ends the process, and what its handlers have started, as soon as another one than the worker is its parent.

const LOOK_EVERY_MS = 500;

setInterval(() => {
  if (process.ppid !== workerData) killGroup();
}, LOOK_EVERY_MS);
