import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { subscribe, type SubscribeOptions } from '../../src/cli/subscribe.js';
import { createHandledEvents } from '../../src/shared/handled-events.js';
import { defaultEvents } from '../../src/shared/portal-setup.js';
import { createPortalStore, emptyPortal } from '../../src/shared/portals.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';
import { NodeProcess } from '../support/node-process.js';
import { useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const KEY = Buffer.alloc(32, 9);
const HANDLER_URL = 'https://app.example/b24/events';
const ALL: SubscribeOptions = { portal: [], json: false, timeoutSeconds: 20 };

let shared: SharedRedisUse;
let simulator: Simulator;
let dataDir: string;
let lines: string[];

beforeEach(async () => {
  shared = useSharedRedis();
  simulator = await startSimulator();
  dataDir = await mkdtemp(join(tmpdir(), 'b24-subscribe-'));
  lines = [];
});

afterEach(async () => {
  await simulator.close();
  await shared.close();
  await rm(dataDir, { recursive: true, force: true });
});

/** A portal with its record, as an installation leaves it. */
async function installedPortal(options?: Parameters<Simulator['addPortal']>[0]): Promise<SimulatedPortal> {
  const portal = await simulator.addPortal(options);
  const sealer = createSealer({ current: toSecretKey(KEY), previous: [] });
  const { accessToken, refreshToken } = portal.tokensOf({ admin: true });
  await createPortalStore({ ...shared, sealer }).save({
    ...emptyPortal(portal.memberId),
    domain: portal.host,
    clientEndpoint: portal.clientEndpoint,
    serverEndpoint: `${simulator.url}/rest/`,
    oauth: { accessToken, refreshToken, userId: 1, generation: 1 },
    installedAtMs: Date.now(),
  });
  return portal;
}

function environmentOf(more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    REDIS_URL: shared.url,
    QUEUE_PREFIX: shared.prefix,
    DATA_DIR: dataDir,
    SECRET_KEY: KEY.toString('base64'),
    PUBLIC_URL: 'https://app.example/b24/',
    B24_CLIENT_ID: simulator.clientId,
    B24_CLIENT_SECRET: simulator.clientSecret,
    B24_OAUTH_HOSTS: simulator.oauthHost,
    B24_PORTAL_HOSTS: simulator.portals.map(({ host }) => host).join(','),
    ...more,
  };
}

function run(options: Partial<SubscribeOptions> = {}, env: NodeJS.ProcessEnv = {}): Promise<number> {
  const { signal } = new AbortController();
  const write = (line: string): void => void lines.push(line);
  return subscribe({ ...ALL, ...options }, { env: environmentOf(env), signal, write, say: write });
}

function boundAt(portal: SimulatedPortal): readonly string[] {
  return portal.state.handlers.filter(({ url }) => url === HANDLER_URL).map(({ event }) => event);
}

describe('b24-events subscribe', () => {
  it('binds the default events, those configured and those that handlers ask for, and registers connectors', async () => {
    const portal = await installedPortal();
    await createHandledEvents(shared).replace(['ONCRMLEADADD', 'INCOMING.MESSAGE']);
    const env = { B24_EVENTS: 'OnCrmDealAdd', B24_CONNECTORS: '[{"id":"my_chat","name":"My chat"}]' };
    expect(await run({}, env)).toBe(0);
    expect(boundAt(portal)).toEqual([...defaultEvents, 'ONCRMDEALADD', 'ONCRMLEADADD']);
    expect(portal.state.connectors.get('my_chat')).toMatchObject({
      name: 'My chat',
      placementHandler: 'https://app.example/b24/connector',
    });
    expect(lines).toEqual([`${portal.memberId} (${portal.host}): bound 12, already 0, registered 1`]);
  });

  it('changes nothing when it is done again', async () => {
    const portal = await installedPortal();
    await run();
    const handlers = [...portal.state.handlers];
    expect(await run()).toBe(0);
    expect(portal.state.handlers).toEqual(handlers);
    expect(lines[1]).toContain('bound 0, already 10, registered 0');
  });

  it('sets up all other portals where one cannot be, and exits with 1', async () => {
    const portals = await Promise.all(Array.from({ length: 6 }, () => installedPortal()));
    const unpaid = portals[2];
    if (unpaid) unpaid.faults.refusal = 'PAYMENT_REQUIRED';
    expect(await run({ json: true })).toBe(1);
    const told = JSON.parse(lines.join('')) as { portals: { member_id: string; ok: boolean; error?: object }[] };
    expect(told.portals.filter(({ ok }) => ok)).toHaveLength(5);
    expect(told.portals.find(({ ok }) => !ok)).toMatchObject({
      member_id: unpaid?.memberId,
      error: { code: 'PORTAL_SUSPENDED' },
    });
  });

  it('binds the rest where the portal refuses an event, and names it', async () => {
    const portal = await installedPortal();
    expect(await run({}, { B24_EVENTS: 'NOSUCHEVENT' })).toBe(1);
    expect(boundAt(portal)).toEqual(defaultEvents);
    expect(lines[0]).toContain('ERROR_EVENT_NOT_FOUND: event.bind of NOSUCHEVENT');
  });

  it('takes only the portals that it is given, and says of a stranger that the app is not installed there', async () => {
    const [wanted, other] = [await installedPortal(), await installedPortal()];
    expect(await run({ portal: [wanted.memberId, 'nobody'] })).toBe(1);
    expect(boundAt(wanted)).toEqual(defaultEvents);
    expect(other.calls).toEqual([]);
    expect(lines.find((line) => line.startsWith('nobody'))).toContain('PORTAL_NOT_INSTALLED');
  });

  it('tries again what heals by itself', async () => {
    const portal = await installedPortal();
    portal.faults.next(1, { kind: 'status', status: 503 });
    expect(await run()).toBe(0);
    expect(boundAt(portal)).toEqual(defaultEvents);
  });

  it('gives up when the time for a portal is over', async () => {
    const portal = await installedPortal();
    portal.faults.next(100, { kind: 'status', status: 503 });
    expect(await run({ timeoutSeconds: 1 })).toBe(1);
    expect(boundAt(portal)).toEqual([]);
  });

  it('says so where no portal is installed', async () => {
    expect(await run()).toBe(0);
    expect(lines).toEqual(['no portal is installed: there is nothing to do']);
  });

  it('names the variables that are missing, all of them at once', async () => {
    const env = { PUBLIC_URL: '', B24_CLIENT_ID: '', B24_CLIENT_SECRET: '' };
    await expect(run({}, env)).rejects.toMatchObject({
      problems: [expect.stringContaining('PUBLIC_URL'), expect.stringContaining('B24_CLIENT_ID, B24_CLIENT_SECRET')],
    });
    await expect(run({}, { PUBLIC_URL: '' })).rejects.toMatchObject({
      problems: [expect.stringContaining('PUBLIC_URL')],
    });
  });

  it('makes no key of its own', async () => {
    await expect(run({}, { SECRET_KEY: '' })).rejects.toMatchObject({
      problems: [expect.stringContaining('SECRET_KEY')],
    });
    await expect(rm(join(dataDir, 'secret.key'))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('says within seconds that Redis is not there, without its password', async () => {
    const env = { REDIS_URL: `redis://:hidden@127.0.0.1:${await closedPort()}` };
    await expect(run({}, env)).rejects.toThrow(/^no Redis answers at 127\.0\.0\.1:\d+ \(.*\): look at REDIS_URL$/);
    const silent = await silentServer();
    try {
      const { port } = silent.address() as AddressInfo;
      await expect(run({}, { REDIS_URL: `redis://127.0.0.1:${port}` })).rejects.toThrow(/no Redis answers/);
    } finally {
      await new Promise((resolve) => silent.close(resolve));
    }
  });

  it('finds the Redis that npm start keeps on DATA_DIR where REDIS_URL is unset', async () => {
    await rm(dataDir, { recursive: true });
    await expect(run({}, { REDIS_URL: '', DATA_DIR: dataDir })).rejects.toThrow(/no Redis answers at 127.0.0.1:6379/);
  });
});

describe('the program b24-events', () => {
  it('shows its commands with --help, and the options of each', async () => {
    const program = cli('--help');
    expect(await program.exitCode()).toBe(0);
    expect(program.output()).toMatch(/simulate[\s\S]*subscribe/);
    const command = cli('subscribe', '--help');
    expect(await command.exitCode()).toBe(0);
    expect(command.output()).toMatch(/--portal[\s\S]*--json[\s\S]*PUBLIC_URL/);
  });

  it('ends with 1 and its help for a command that it does not know', async () => {
    const program = cli('unsubscribe');
    expect(await program.exitCode()).toBe(1);
    expect(program.output()).toMatch(/unknown command 'unsubscribe'[\s\S]*Usage: b24-events/);
  });

  it('ends with 78 where a variable is missing, and with 1 where Redis is, in a sentence each', async () => {
    const misconfigured = cli('subscribe');
    expect(await misconfigured.exitCode()).toBe(78);
    expect(misconfigured.lines).toEqual([
      expect.stringMatching(/^PUBLIC_URL: /),
      expect.stringMatching(/^B24_CLIENT_ID, B24_CLIENT_SECRET: /),
    ]);
    const lonely = new NodeProcess({
      args: ['dist/cli/main.js', 'subscribe'],
      env: environmentOf({ PATH: process.env['PATH'], REDIS_URL: `redis://127.0.0.1:${await closedPort()}` }),
    });
    expect(await lonely.exitCode()).toBe(1);
    expect(lonely.lines).toEqual([expect.stringMatching(/^no Redis answers at /)]);
  });

  it('has written everything when it ends', async () => {
    const portals = await Promise.all(Array.from({ length: 3 }, () => installedPortal()));
    await writeFile(join(dataDir, 'secret.key'), `${KEY.toString('base64')}\n`);
    const program = new NodeProcess({
      args: ['dist/cli/main.js', 'subscribe', '--json'],
      env: environmentOf({ PATH: process.env['PATH'], SECRET_KEY: '' }),
    });
    expect(await program.exitCode()).toBe(0);
    expect(program.output()).not.toContain(simulator.clientSecret);
    const told = JSON.parse(program.output()) as { portals: { member_id: string; bound: string[] }[] };
    expect(new Set(told.portals.map((portal) => portal.member_id))).toEqual(
      new Set(portals.map(({ memberId }) => memberId)),
    );
    expect(told.portals.every(({ bound }) => bound.length === defaultEvents.length)).toBe(true);
  });
});

describe('a signal', () => {
  function subscribing(...args: readonly string[]): NodeProcess {
    const env = environmentOf({ PATH: process.env['PATH'] });
    return new NodeProcess({ args: ['dist/cli/main.js', 'subscribe', ...args], env });
  }

  it('ends the program only when new tokens that are on their way are kept, and with 130', async () => {
    const portal = await installedPortal();
    portal.expireAccessTokens();
    // Longer than a process may take to end that waits for nothing else.
    simulator.oauthFaults.delayMs = 4000;
    const program = subscribing();
    await waitUntil('tokens are being renewed', () => simulator.oauthCalls.length === 1);
    program.child.kill('SIGINT');
    await program.line(/^stopping: new tokens/);
    program.child.kill('SIGINT');
    expect(await program.exitCode()).toBe(130);
    expect(program.output()).toContain(`${portal.memberId} (${portal.host}): not done: it was stopped`);
    expect(await readdir(join(dataDir, 'renewals'))).toEqual([expect.stringMatching(/^\w+\.json$/)]);

    simulator.oauthFaults.clear();
    expect(await run()).toBe(0);
    expect(boundAt(portal)).toEqual(defaultEvents);
    expect(portal.renewals).toBe(1);
  });

  it('lets no further portal begin', async () => {
    const portals = await Promise.all(Array.from({ length: 6 }, () => installedPortal()));
    for (const { faults } of portals) faults.next(100, { kind: 'hang' });
    const program = subscribing('--json');
    await waitUntil(
      'as many are under way as may be',
      () => portals.filter(({ calls }) => calls.length > 0).length === 4,
    );
    program.child.kill('SIGTERM');
    expect(await program.exitCode()).toBe(130);
    expect(portals.filter(({ calls }) => calls.length > 0)).toHaveLength(4);
    const told = JSON.parse(program.lines.at(-1) ?? '') as { portals: { ok: boolean }[] };
    expect(told.portals.map(({ ok }) => ok)).toEqual([false, false, false, false]);
  });
});

function cli(...args: readonly string[]): NodeProcess {
  return new NodeProcess({ args: ['dist/cli/main.js', ...args], env: { PATH: process.env['PATH'] } });
}

async function closedPort(): Promise<number> {
  const server = await silentServer();
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Takes connections, and says nothing. */
async function silentServer(): Promise<Server> {
  const server = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}
