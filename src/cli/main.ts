#!/usr/bin/env node
import { readFile } from 'node:fs/promises';
import { environment } from '../shared/config.js';
import { askPerson } from './ask-person.js';
import type { CommandHost } from './command-host.js';
import { connectorsCommand } from './connectors.js';
import { doctorCommand } from './doctor.js';
import { portalsCommand } from './portals.js';
import { runProgram } from './program.js';
import { queueCommand } from './queue.js';
import { simulateCommand } from './simulate.js';
import { listenForStop } from './start/stop-signals.js';
import { subscribeCommand } from './subscribe.js';

/** `b24-events`: what a person does by hand. Ends by itself when all is said, so that nothing of it is lost in a pipe. */
process.stdout.on('error', () => undefined);

const packageFile = new URL('../../package.json', import.meta.url);
const { version } = JSON.parse(await readFile(packageFile, 'utf8')) as { readonly version: string };

const { stop } = listenForStop();
const host: CommandHost = {
  env: environment(),
  signal: stop,
  write: (line) => void process.stdout.write(`${line}\n`),
  say: (line) => void process.stderr.write(`${line}\n`),
  ...(process.stdin.isTTY && { ask: (question) => askPerson(question, stop) }),
};

const exitCode = await runProgram({
  version,
  args: process.argv.slice(2),
  commands: [
    simulateCommand(host),
    doctorCommand(host),
    subscribeCommand(host),
    portalsCommand(host),
    connectorsCommand(host),
    queueCommand(host),
  ],
});
if (exitCode !== 0) process.exitCode = exitCode;
