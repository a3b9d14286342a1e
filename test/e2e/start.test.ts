import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { probeRedis } from '../../src/cli/redis/redis-probe.js';
import { NodeProcess } from '../support/node-process.js';

let dataDir: string;
let env: NodeJS.ProcessEnv;
let started: NodeProcess[];

beforeEach(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-start-')));
  const ports = { API_PORT: String(await findFreePort()) };
  const unset = { REDIS_URL: undefined, APPLICATION_TOKENS: undefined, FORWARD_URL: undefined };
  // A machine with little room left would answer 503, rightly; that is not what is tried here.
  env = { ...process.env, ...unset, ...ports, DATA_DIR: dataDir, API_HOST: '127.0.0.1', DISK_FREE_BYTES_MIN: '0' };
  started = [];
});

afterEach(async () => {
  for (const launcher of started) await launcher.kill('SIGTERM');
  await rm(dataDir, { recursive: true, force: true });
});

function start(): NodeProcess {
  const launcher = new NodeProcess({ args: ['dist/cli/start.js'], env });
  started.push(launcher);
  return launcher;
}

async function startWhole(): Promise<NodeProcess> {
  const launcher = start();
  await launcher.line(/Ctrl-C stops everything/);
  return launcher;
}

async function redisPort(launcher: NodeProcess): Promise<number> {
  return Number(/127\.0\.0\.1:(\d+)/.exec(await launcher.line(/Redis at redis:/))?.[1]);
}

/** As a person does it: the line as it stands on the screen, into a shell. */
async function paste(command: string): Promise<unknown> {
  const shell = spawn('sh', ['-c', command], { stdio: ['ignore', 'pipe', 'inherit'] });
  return JSON.parse(await text(shell.stdout));
}

test('the printed command is accepted and forwarded, a second time it is a duplicate, and Ctrl-C ends all', async () => {
  const launcher = await startWhole();
  const ownPort = await redisPort(launcher);
  const command = await launcher.line(/^curl /);

  await expect(paste(command)).resolves.toEqual({ status: 'accepted', id: expect.any(String) });
  await launcher.line(/^forward .*received ONIMCONNECTORMESSAGEADD of portal demo, signature good/);
  await expect(paste(command)).resolves.toMatchObject({ status: 'accepted' });
  await launcher.line(/^worker .*duplicate/);

  launcher.child.kill('SIGINT');
  await expect(launcher.exitCode()).resolves.toBe(0);
  expect(launcher.lines.filter((line) => line.startsWith('forward '))).toHaveLength(1);
  await expect(probeRedis(ownPort)).resolves.toEqual({ state: 'refused' });
});

test('after a kill -9 the next start takes the port, the Redis and the work over', async () => {
  const killed = await startWhole();
  const ownPort = await redisPort(killed);
  killed.child.kill('SIGKILL');

  const next = await startWhole();

  await expect(redisPort(next)).resolves.toBe(ownPort);
  expect(next.output()).toContain('left running by an earlier start');
  await expect(paste(await next.line(/^curl /))).resolves.toMatchObject({ status: 'accepted' });
  await next.line(/^forward .*received ONIMCONNECTORMESSAGEADD/);

  next.child.kill('SIGINT');
  await expect(next.exitCode()).resolves.toBe(0);
  expect(next.output()).toMatch(/stopped$/);
  await expect(probeRedis(ownPort)).resolves.toEqual({ state: 'refused' });
});

test('a port that another program has is told by the name of its variable', async () => {
  const other = createServer();
  await new Promise<void>((done) => {
    other.listen(Number(env.API_PORT), '127.0.0.1', done);
  });

  const launcher = start();

  await expect(launcher.exitCode()).resolves.toBe(1);
  other.close();
  expect(launcher.output()).toContain(`API_PORT: another program listens on port ${env.API_PORT}`);
});
