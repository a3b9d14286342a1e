import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { isAlive, signalProcess } from '../../src/cli/redis/process-identity.js';
import { probeRedis } from '../../src/cli/redis/redis-probe.js';
import { NodeProcess } from '../support/node-process.js';

const LAUNCHER = pathToFileURL('dist/cli/start/launcher.js').href;
const SIGNALS = pathToFileURL('dist/cli/start/stop-signals.js').href;
const STUB = resolve('test/support/stub-child.mjs');

let dataDir: string;
let port: number;
let started: NodeProcess[];

beforeEach(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-launcher-')));
  port = await findFreePort();
  started = [];
});

afterEach(async () => {
  for (const launcher of started) await launcher.kill('SIGTERM');
  await rm(dataDir, { recursive: true, force: true });
});

/** The launcher with two children that only do as they are told. */
function start(env: NodeJS.ProcessEnv = {}): NodeProcess {
  const code = `import { launch } from ${JSON.stringify(LAUNCHER)};
    import { listenForStop } from ${JSON.stringify(SIGNALS)};
    const programs = ['ingress', 'worker'].map((name) => ({ name, file: ${JSON.stringify(STUB)} }));
    const write = (line) => process.stdout.write(line + '\\n');
    process.exitCode = await launch({ env: process.env, isRoot: false, colorize: false, signals: listenForStop(), programs, write });`;
  const own = { DATA_DIR: dataDir, API_HOST: '127.0.0.1', API_PORT: String(port), ...env };
  const launcher = new NodeProcess({ args: ['--input-type=module', '--eval', code], env: { ...process.env, ...own } });
  started.push(launcher);
  return launcher;
}

async function startWhole(env: NodeJS.ProcessEnv = {}): Promise<NodeProcess> {
  const launcher = start(env);
  await launcher.line(/Ctrl-C stops everything/);
  return launcher;
}

async function childPid(launcher: NodeProcess, name: string, from = 0): Promise<number> {
  const line = await launcher.line(new RegExp(`^${name} .*childPid=`), { from });
  return Number(/childPid=(\d+)/.exec(line)?.[1]);
}

async function redisPort(launcher: NodeProcess): Promise<number> {
  const line = await launcher.line(/Redis at redis:/);
  return Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1]);
}

function indexOf(launcher: NodeProcess, pattern: RegExp): number {
  return launcher.lines.findIndex((line) => pattern.test(line));
}

describe('stopping', () => {
  test('ends the ingress, then the worker, then Redis, and exits with 0', async () => {
    const launcher = await startWhole();
    const ownPort = await redisPort(launcher);

    launcher.child.kill('SIGINT');

    await expect(launcher.exitCode()).resolves.toBe(0);
    const order = [/^ingress .*told to end/, /^worker .*told to end/, /stopping Redis/, /stopped/];
    const places = order.map((pattern) => indexOf(launcher, pattern));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
    await expect(probeRedis(ownPort)).resolves.toEqual({ state: 'refused' });
  });

  test('kills what has not ended in time, and says so', async () => {
    const launcher = await startWhole({ STUB_IGNORES_SIGTERM: '1', EFFECT_TIMEOUT_MS: '10' });
    const pid = await childPid(launcher, 'worker');

    launcher.child.kill('SIGTERM');

    await expect(launcher.exitCode()).resolves.toBe(0);
    expect(launcher.output()).toContain('killing worker: not ended within 5.01 s');
    expect(isAlive(pid)).toBe(false);
  });

  test('ends at once at a second signal, Redis still in order', async () => {
    const launcher = await startWhole({ STUB_IGNORES_SIGTERM: '1', EFFECT_TIMEOUT_MS: '60000' });
    const ownPort = await redisPort(launcher);

    const impatience = setInterval(() => launcher.child.kill('SIGINT'), 200);
    const exitCode = await launcher.exitCode();
    clearInterval(impatience);

    expect(exitCode).toBe(0);
    expect(launcher.output()).toContain('killing ingress: a second signal');
    await expect(probeRedis(ownPort)).resolves.toEqual({ state: 'refused' });
  });
});

describe('a process that ends by itself', () => {
  test('is started again, and how it ended is said', async () => {
    const launcher = await startWhole();
    const pid = await childPid(launcher, 'worker');
    const from = launcher.lines.length;

    signalProcess(pid, 'SIGKILL');

    await expect(childPid(launcher, 'worker', from)).resolves.not.toBe(pid);
    expect(launcher.output()).toContain('worker was ended by SIGKILL by itself; starting it again in 0.5 s');
  });

  test('ends everything with 78 when its configuration is at fault', async () => {
    const launcher = await startWhole();

    signalProcess(await childPid(launcher, 'worker'), 'SIGUSR2');

    await expect(launcher.exitCode()).resolves.toBe(78);
    expect(launcher.output()).toContain('stopping Redis');
  });

  test.each([
    ['1', 1],
    ['78', 78],
  ])('with %s before it was ready takes back what was started, and exits with %d', async (code, expected) => {
    const launcher = start({ STUB_EXIT_BEFORE_READY: code });
    const ownPort = await redisPort(launcher);

    await expect(launcher.exitCode()).resolves.toBe(expected);

    expect(launcher.output()).toContain(`ended with code ${code} before it was ready`);
    await expect(probeRedis(ownPort)).resolves.toEqual({ state: 'refused' });
  });
});

describe('its own Redis', () => {
  test('comes back at the same address when it ends by itself', async () => {
    const launcher = await startWhole();
    const ownPort = await redisPort(launcher);
    const probe = await probeRedis(ownPort);
    const from = launcher.lines.length;

    signalProcess(probe.state === 'redis' ? probe.pid : 0, 'SIGKILL');

    await expect(launcher.line(/Redis at redis:/, { from })).resolves.toContain(`127.0.0.1:${ownPort}:`);
  });

  test('is reused after a kill -9 of the launcher, whose children end by themselves', async () => {
    const killed = await startWhole();
    const pids = [await childPid(killed, 'ingress'), await childPid(killed, 'worker')];
    const ownPort = await redisPort(killed);
    killed.child.kill('SIGKILL');

    const next = await startWhole();

    await expect(next.line(/Redis at/)).resolves.toContain(`127.0.0.1:${ownPort}: left running by an earlier start`);
    while (pids.some(isAlive)) await sleep(20);
  });
});

describe('a start that cannot be', () => {
  test('a second one on the same data is refused, and names the first', async () => {
    const first = await startWhole();

    const second = start({ API_PORT: String(await findFreePort()) });

    await expect(second.exitCode()).resolves.toBe(1);
    expect(second.output()).toContain(`process ${first.pid} already runs on ${dataDir}`);
  });

  test('a port that is taken is told by the name of its variable, before anything is started', async () => {
    const other = createServer();
    await new Promise<void>((done) => {
      other.listen(port, '127.0.0.1', done);
    });

    const launcher = start();

    await expect(launcher.exitCode()).resolves.toBe(1);
    other.close();
    expect(launcher.output()).toContain(`API_PORT: another program listens on port ${port} of 127.0.0.1 already`);
    expect(launcher.output()).not.toContain('Redis at');
  });

  test('a configuration at fault tells every problem, and exits with 78', async () => {
    const launcher = start({ API_PORT: '80 80', DEDUP_BY: 'luck' });

    await expect(launcher.exitCode()).resolves.toBe(78);
    expect(launcher.output()).toMatch(/API_PORT: .*\n.*DEDUP_BY: /);
  });
});

test('shows the port that the ingress got where API_PORT leaves it open', async () => {
  const launcher = await startWhole({ API_PORT: '0', STUB_URL: 'http://127.0.0.1:40404/events' });

  expect(launcher.output()).toContain("'http://127.0.0.1:40404/events'");
});

test('shows where each process tells of its health', async () => {
  const launcher = await startWhole({ STUB_OPS_URL: 'http://127.0.0.1:40405' });

  expect(launcher.output()).toContain(
    '  health    ingress http://127.0.0.1:40405, worker http://127.0.0.1:40405  (/readyz, /metrics)',
  );
});

test('shows where another program has the port at which a process tells of its health', async () => {
  const launcher = await startWhole({ STUB_OPS_URL: 'http://127.0.0.1:40405', STUB_OPS_PORT_TAKEN: '9464' });

  expect(launcher.output()).toContain('ingress http://127.0.0.1:40405 (another program has port 9464)');
});

test('shows the folder of the handlers and their names, or that there are none', async () => {
  const some = await startWhole({ STUB_HANDLERS: 'messenger, shop', HANDLERS_DIR: 'mine' });
  expect(some.output()).toContain(`  handlers  ${resolve('mine')}  (messenger, shop)`);
  await some.kill('SIGTERM');

  const none = await startWhole({ STUB_HANDLERS: '', APPLICATION_TOKENS: 'portal-of-mine=token-of-mine' });
  expect(none.output()).toContain('  handlers  none, HANDLERS_DIR is unset');
});

test('a portal of the user: its token is not shown, and the command has a place for it', async () => {
  const launcher = await startWhole({ APPLICATION_TOKENS: 'portal-of-mine=token-of-mine' });

  expect(launcher.output()).toContain('=<member_id>&');
  expect(launcher.output()).not.toContain('token-of-mine');
});
