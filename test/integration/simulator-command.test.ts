import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findFreePort } from '../../src/cli/free-port.js';
import { simulate } from '../../src/cli/simulate.js';
import type { SimulateOptions } from '../../src/cli/simulate/simulate-options.js';
import { NodeProcess } from '../support/node-process.js';
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
const INCOMING_SECRET = `whsec_${Buffer.alloc(32, 5).toString('base64')}`;
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
  await writeFile(join(dataDir, 'simulator.json'), JSON.stringify({ incomingSecret: INCOMING_SECRET, ...settings }));
}

/** Does what an app does: proves the installation, binds a handler, and answers each message, or not. */
function actAsApp(answersTo: (request: AppRequest) => number, lateMs?: number): void {
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
    const confirm = async (): Promise<void> => {
      const params = { CONNECTOR, LINE, MESSAGES: confirmed, auth: accessToken };
      for (let time = 0; time < times; time += 1) await callPortal(`${client}imconnector.send.status.delivery`, params);
    };
    if (lateMs === undefined) await confirm();
    else setTimeout(() => void confirm(), lateMs);
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

  test('waits for answers that come late', async () => {
    actAsApp(() => 1, 600);

    await expect(run({ portals: 1, events: 3 })).resolves.toBe(0);
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
    const env = { ...CREDENTIALS, INCOMING_SECRET };

    await expect(run({ portals: 2, events: 2, customers: 3, timeoutSeconds: 1 }, env)).resolves.toBe(1);
    await expect(run({ customers: 3 })).rejects.toThrow(
      /^--customers: INCOMING_SECRET is unset, which signs what customers write$/,
    );

    expect(app.requests.filter(({ path }) => path === '/incoming')).toHaveLength(3);
    expect(written.join('\n')).toContain(
      '3 messages written, 0 came into the portal once, 0 more than once, 3 not at all',
    );
  });

  test('says in one sentence that nothing answers at the address of the app', async () => {
    const url = `http://127.0.0.1:${await findFreePort()}/events`;

    await expect(run({ url })).rejects.toMatchObject({
      message: `nothing answers at ${url} (ECONNREFUSED): start the app first, by npm start, in another window`,
      exitCode: 1,
    });
  });

  test('says that the app refuses the installation', async () => {
    app.answer = () => ({ status: 503 });

    await expect(run()).rejects.toThrow(/^the app did not take the installation: status 503$/);
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
    await expect(run({}, {})).rejects.toThrow(/simulator\.json, and B24_CLIENT_ID is unset: run npm start first/);
  });

  test('is refused by its place alone where the file is wrong, since it holds secrets', async () => {
    await writeSettings({
      url: app.url,
      clientId: 'local.file',
      clientSecret: 'of-the-file',
      port: 'x',
      portalPorts: [],
    });

    await expect(run({}, {})).rejects.toThrow(/simulator\.json is not what npm start writes: see port$/);
  });

  test('is named where one of two variables is missing', async () => {
    await expect(run({}, { B24_CLIENT_ID: 'local.test' })).rejects.toMatchObject({
      problems: ['B24_CLIENT_ID, B24_CLIENT_SECRET: expected both or none, got one of them'],
    });
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
    await expect(run({}, {})).rejects.toThrow(`port ${taken} is taken: another simulator may be running`);
    await writeSettings({ ...settings, port: await findFreePort() });
    await expect(run({ portals: 2 }, {})).rejects.toThrow('--portals: the app knows the hosts of 1 portals, got 2');
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

test('for an app on another machine it listens on every address, at the ports that the app knows by its name', async () => {
  const [port, portalPort] = [await findFreePort(), await findFreePort()];
  const hosts = {
    B24_OAUTH_HOSTS: `http://localhost:${port}`,
    B24_PORTAL_HOSTS: `http://other:1,http://localhost:${portalPort}`,
  };
  const served = run({ install: false, host: 'localhost' }, { ...CREDENTIALS, ...hosts });
  await waitUntil('the addresses were written', () => written.length > 0);

  const urls = [`http://127.0.0.2:${port}/control/report`, `http://127.0.0.2:${portalPort}/rest/app.info`];
  const answers = await Promise.all(urls.map((url) => fetch(url)));
  stop.abort();

  expect(answers.map(({ status }) => status)).toEqual([200, 401]);
  expect(written.join('\n')).toContain(`B24_PORTAL_HOSTS=http://localhost:${portalPort}`);
  await expect(served).resolves.toBe(0);
});

describe('the program', () => {
  const start = (env: NodeJS.ProcessEnv, ...args: string[]): NodeProcess =>
    new NodeProcess({
      args: ['dist/cli/main.js', 'simulate', '--data-dir', dataDir, ...args],
      env: { PATH: process.env['PATH'], ...env },
    });

  test('ends with a sentence, and 1, 78 where a variable is wrong', async () => {
    const lost = start({});
    const half = start({ B24_CLIENT_ID: 'local.test' });
    const idle = start(CREDENTIALS, '--events', '5');

    expect([await lost.exitCode(), await half.exitCode(), await idle.exitCode()]).toEqual([1, 78, 1]);
    expect(lost.lines).toEqual([expect.stringMatching(/^there is no .*simulator\.json/)]);
    expect(half.lines).toEqual([expect.stringMatching(/^B24_CLIENT_ID, B24_CLIENT_SECRET: /)]);
    expect(idle.lines[0]).toMatch(/^error: --events: only the tour/);
  });

  test('serves until Ctrl-C, and ends with 0', async () => {
    const served = start(CREDENTIALS, '--portals', '1');
    await served.line(/Ctrl-C ends it/);
    served.child.kill('SIGINT');

    expect(await served.exitCode()).toBe(0);
  });
});
