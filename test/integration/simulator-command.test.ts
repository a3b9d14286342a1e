import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../../src/cli/free-port.js';
import { simulate, simulateCommand, type SimulateOptions } from '../../src/cli/simulate.js';
import { startStubApp, type AppRequest, type StubApp } from '../support/stub-app.js';
import { waitUntil } from '../support/wait-until.js';

const ADD = 'ONIMCONNECTORMESSAGEADD';
const OPTIONS: SimulateOptions = {
  install: true,
  events: 20,
  duplicates: 0,
  sameSecond: 0,
  forgeries: 0,
  customers: 0,
  tokens: true,
  seed: 1,
  timeoutSeconds: 20,
};
const CREDENTIALS = { B24_CLIENT_ID: 'local.test', B24_CLIENT_SECRET: 'a-secret-of-the-app' };

let app: StubApp;
let dataDir: string;
let written: string[];
let said: string[];
let stop: AbortController;

beforeEach(async () => {
  app = await startStubApp();
  dataDir = await mkdtemp(join(tmpdir(), 'b24-test-simulate-'));
  written = [];
  said = [];
  stop = new AbortController();
});

afterEach(async () => {
  await app.close();
  await rm(dataDir, { recursive: true, force: true });
});

function run(options: Partial<SimulateOptions> = {}, env: NodeJS.ProcessEnv = CREDENTIALS): Promise<number> {
  const pace = { quietMs: 100, settleMs: 100 };
  const write = (line: string): void => void written.push(line);
  const say = (line: string): void => void said.push(line);
  return simulate({ ...OPTIONS, dataDir, url: app.url, ...options }, { env, signal: stop.signal, write, say, pace });
}

async function writeSettings(settings: Readonly<Record<string, unknown>>): Promise<void> {
  await writeFile(join(dataDir, 'simulator.json'), JSON.stringify(settings));
}

/** Does what an app does: proves the installation, binds a handler, and answers each message, or not. */
function actAsApp(answersTo: (request: AppRequest) => number): void {
  app.answer = async (request) => {
    const auth = Object(request.form['auth']) as Record<string, string>;
    const { server_endpoint: server, client_endpoint: client, access_token: accessToken = '' } = auth;
    if (request.form['event'] === 'ONAPPINSTALL') {
      await fetch(`${server}app.info?auth=${accessToken}`);
      await callPortal(`${client}event.bind`, { event: ADD, handler: app.url, auth: accessToken });
    }
    const { CONNECTOR, LINE, MESSAGES } = Object(request.form['data']) as Record<string, unknown>;
    const times = request.form['event'] === ADD ? answersTo(request) : 0;
    const confirmed = (MESSAGES as { im: unknown; chat: unknown }[] | undefined)?.map(({ im, chat }) => ({
      im,
      chat,
      message: { id: ['ext-1'] },
    }));
    for (let time = 0; time < times; time += 1)
      await callPortal(`${client}imconnector.send.status.delivery`, {
        CONNECTOR,
        LINE,
        MESSAGES: confirmed,
        auth: accessToken,
      });
    return { status: 200 };
  };
}

async function callPortal(address: string, params: Readonly<Record<string, unknown>>): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  await fetch(address, { method: 'POST', headers, body: JSON.stringify(params) });
}

describe('the tour', () => {
  test('installs, sends, waits for the answers, uninstalls, and ends with 0 where nothing is missing', async () => {
    actAsApp(() => 1);

    await expect(run({ portals: 2 })).resolves.toBe(0);

    expect(['ONAPPINSTALL', ADD, 'ONAPPUNINSTALL'].map((name) => app.events(name).length)).toEqual([2, 20, 2]);
    expect(written.join('\n')).toContain('20 of 20 messages exactly once, 0 more than once, 0 not at all');
    expect(written.join('\n')).toContain('Nothing is missing, and nothing came twice.');
    expect([...written, ...said].join('\n')).not.toContain(CREDENTIALS.B24_CLIENT_SECRET);
  });

  test('ends with 1 and names what is missing and what came twice, as JSON where that is wanted', async () => {
    let count = 0;
    actAsApp(() => {
      count += 1;
      return [0, 2][count - 1] ?? 1;
    });

    await expect(run({ portals: 1, events: 5, timeoutSeconds: 1, json: true })).resolves.toBe(1);

    expect(JSON.parse(written[0] ?? '')).toMatchObject({
      messages: { expected: 5, once: 3, moreThanOnce: 1, missing: 1 },
    });
  });

  test('writes as customers do, and waits until that came into the portal', async () => {
    actAsApp(() => 1);
    const env = { ...CREDENTIALS, INCOMING_SECRET: `whsec_${Buffer.alloc(32, 5).toString('base64')}` };

    await expect(run({ portals: 2, events: 2, customers: 3, timeoutSeconds: 1 }, env)).resolves.toBe(1);
    await expect(run({ customers: 3 })).resolves.toBe(1);

    expect(app.requests.filter(({ path }) => path === '/incoming')).toHaveLength(3);
    expect(written.join('\n')).toContain(
      '3 messages written, 0 came into the portal once, 0 more than once, 3 not at all',
    );
    expect(said.at(-1)).toBe('--customers: INCOMING_SECRET is unset, which signs what customers write');
  });

  test('says in one sentence that nothing answers at the address of the app', async () => {
    const url = `http://127.0.0.1:${await findFreePort()}/events`;

    await expect(run({ url })).resolves.toBe(1);

    expect(said).toEqual([
      `nothing answers at ${url} (ECONNREFUSED): start the app first, by npm start, in another window`,
    ]);
  });

  test('says that the app refuses the installation', async () => {
    app.answer = () => ({ status: 503 });

    await expect(run()).resolves.toBe(1);

    expect(said).toEqual(['the app did not take the installation: status 503']);
  });

  test('ends at Ctrl-C', async () => {
    actAsApp(() => 0);
    const ended = run({ portals: 1 });
    await waitUntil('the events were sent', () => app.events(ADD).length === 20);

    stop.abort();

    await expect(ended).resolves.toBe(1);
  });
});

describe('what the simulator knows of the app', () => {
  test('comes from the file of npm start, with the ports that the app was told', async () => {
    actAsApp(() => 1);
    const [port, ...portalPorts] = [await findFreePort(), await findFreePort(), await findFreePort()];
    await writeSettings({ url: app.url, clientId: 'local.file', clientSecret: 'of-the-file', port, portalPorts });

    await expect(run({ url: undefined as never }, {})).resolves.toBe(0);

    const endpoints = app.events('ONAPPINSTALL').map(({ form }) => form['auth'] as Record<string, string>);
    expect(endpoints.map((auth) => auth['client_endpoint'])).toEqual(
      portalPorts.map((portalPort) => `http://127.0.0.1:${portalPort}/rest/`),
    );
    expect(endpoints[0]?.['server_endpoint']).toBe(`http://127.0.0.1:${port}/rest/`);
  });

  test('is asked for in one sentence where there is neither the file nor the variables', async () => {
    await expect(run({}, {})).resolves.toBe(1);

    expect(said[0]).toMatch(/simulator\.json, and B24_CLIENT_ID is unset: run npm start first/);
  });

  test('is refused by its place alone where the file is wrong, since it holds secrets', async () => {
    await writeSettings({
      url: app.url,
      clientId: 'local.file',
      clientSecret: 'of-the-file',
      port: 'x',
      portalPorts: [],
    });

    await expect(run({}, {})).resolves.toBe(1);

    expect(said).toEqual([expect.stringMatching(/simulator\.json is not what npm start writes: see port$/)]);
  });

  test('ends with 78 where one of two variables is missing', async () => {
    await expect(run({}, { B24_CLIENT_ID: 'local.test' })).resolves.toBe(78);

    expect(said).toEqual(['B24_CLIENT_ID, B24_CLIENT_SECRET: expected both or none, got one of them']);
  });

  test('does not fit a port that is taken, nor more portals than the app knows', async () => {
    const taken = Number(new URL(app.url).port);
    const settings = {
      url: app.url,
      clientId: 'local.file',
      clientSecret: 'of-the-file',
      portalPorts: [await findFreePort()],
    };
    await writeSettings({ ...settings, port: taken });
    await expect(run({}, {})).resolves.toBe(1);
    await writeSettings({ ...settings, port: await findFreePort() });
    await expect(run({ portals: 2 }, {})).resolves.toBe(1);

    expect(said).toEqual([
      `port ${taken} is taken: another simulator may be running`,
      '--portals: the app knows the hosts of 1 portals, got 2',
    ]);
  });
});

describe('without the tour', () => {
  test('it serves until Ctrl-C, says what the app needs, and does what it is told', async () => {
    const served = run({ install: false, portals: 1 });
    await waitUntil('the addresses were written', () => written.length > 0);
    const url = /OAuth server\s+(http:\/\/[\d.:]+)/.exec(written.join('\n'))?.[1] ?? '';
    const control = (action: string, body: unknown, type = 'application/json') =>
      fetch(`${url}/control/${action}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body: JSON.stringify(body),
      });

    const statuses = [
      (await control('install', { eventsUrl: app.url })).status,
      (await control('send', { event: ADD })).status,
      (await control('send', { event: ADD }, 'text/plain')).status,
      (await control('send', { wrong: 1 })).status,
      (await control('nothing', {})).status,
    ];
    const report: unknown = await (await fetch(`${url}/control/report`)).json();
    stop.abort();

    expect(statuses).toEqual([200, 200, 415, 400, 404]);
    expect(app.events(ADD)).toHaveLength(1);
    expect(report).toMatchObject({ posts: { sent: 1 } });
    await expect(served).resolves.toBe(0);
    expect(written.join('\n')).toContain(`B24_OAUTH_HOSTS=${new URL(url).host}`);
    expect(written.join('\n')).not.toContain(CREDENTIALS.B24_CLIENT_SECRET);
  });
});

describe('the options', () => {
  const parse = (...args: string[]): unknown => {
    const command = simulateCommand()
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    return command
      .action(() => undefined)
      .parse(args, { from: 'user' })
      .opts();
  };

  test('take a share, or a tenth where none is named', () => {
    expect(parse('--duplicates', '0.5', '--forgeries', '--no-tokens', '--events', '7')).toMatchObject({
      duplicates: 0.5,
      forgeries: 0.1,
      sameSecond: 0,
      tokens: false,
      events: 7,
      seed: 1,
    });
  });

  test.each([
    ['--duplicates', '2'],
    ['--events', '0'],
    ['--rate', '-1'],
    ['--seed', 'x'],
  ])('refuse %s %s', (...args) => {
    expect(() => parse(...args)).toThrow('Expected');
  });
});
