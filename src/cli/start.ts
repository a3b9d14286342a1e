import { fileURLToPath } from 'node:url';
import { environment } from '../shared/config.js';
import { launch } from './start/launcher.js';
import { listenForStop } from './start/stop-signals.js';

/** `npm start`: the whole system on one machine. Who takes events in ends first, so it comes first. */
const PROGRAMS = [
  { name: 'ingress', file: fileURLToPath(new URL('../api/main.js', import.meta.url)) },
  { name: 'worker', file: fileURLToPath(new URL('../worker/main.js', import.meta.url)) },
];

// A reader that went away (`npm start | head`), or a terminal that was closed, is no reason to end in disorder.
process.stdout.on('error', () => undefined);

process.exitCode = await launch({
  env: environment(),
  isRoot: process.getuid?.() === 0,
  programs: PROGRAMS,
  signals: listenForStop(),
  colorize: process.stdout.isTTY,
  write: (line) => void process.stdout.write(`${line}\n`),
});
