import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { listConnectors } from '../../src/cli/connectors.js';
import { listPortals } from '../../src/cli/portals/list-portals.js';
import { showPortal } from '../../src/cli/portals/show-portal.js';
import { createConnectorStates } from '../../src/shared/connector-states.js';
import { createPortalStore, emptyPortal, type Portal, type PortalStore } from '../../src/shared/portals.js';
import { commandEnv, runCommand, type CommandRun, type CommandRunOptions } from '../support/command-run.js';
import { NodeProcess } from '../support/node-process.js';
import { useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { workerSealer } from '../support/worker-bench.js';

const ALL = { portal: [], json: true };
const CONNECTORS = '[{"id":"my_chat","name":"My chat"},{"id":"quiet","name":"Quiet"}]';
const TS = 1_773_759_161;

let shared: SharedRedisUse;
let portals: PortalStore;

beforeEach(() => {
  shared = useSharedRedis();
  portals = createPortalStore({ ...shared, sealer: workerSealer });
});
afterEach(() => shared.close());

async function install(memberId: string, more: Partial<Portal> = {}): Promise<void> {
  await portals.save({
    ...emptyPortal(memberId),
    domain: `${memberId}.bitrix24.com`,
    applicationTokens: [{ token: 'secret-application-token', receivedBeforeMs: null }],
    oauth: { accessToken: 'secret-access', refreshToken: 'secret-refresh', userId: 27, generation: 3 },
    installedAtMs: TS * 1000,
    paymentTs: TS,
    ...more,
  });
}

const list = (json: boolean, env: NodeJS.ProcessEnv = {}): Promise<CommandRun> =>
  runCommand(shared, (parts) => listPortals({ json }, parts), { env });

const show = (memberId: string, json: boolean, options: CommandRunOptions = {}): Promise<CommandRun> =>
  runCommand(shared, (parts) => showPortal({ memberId, json }, parts), options);

const connectors = (portal: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<CommandRun> =>
  runCommand(shared, (parts) => listConnectors({ ...ALL, portal }, parts), { env });

function told({ lines }: CommandRun): unknown {
  expect(lines).toHaveLength(1);
  return JSON.parse(lines.join(''));
}

describe('b24-events portals', () => {
  it('lists those installed and those of APPLICATION_TOKENS, with what waits for them, as one JSON object', async () => {
    const { redis, keys } = shared;
    await install('b', { suspension: { reason: 'payment', sinceMs: TS * 1000, probeAtMs: null }, isEnterprise: true });
    await redis.zadd(keys.waitingFor('b'), 1, 'one', 2, 'two');
    await redis.zadd(keys.parkedOf('a'), 1, 'one');
    await redis.zadd(keys.parkedInstallations('page').parkedOf('a'), 1, 'two');
    const at = '2026-03-17T14:52:41Z';
    expect(told(await list(true, { APPLICATION_TOKENS: 'a=token,*=other' }))).toEqual({
      portals: [
        expect.objectContaining({
          member_id: 'a',
          sources: ['APPLICATION_TOKENS'],
          has_oauth_tokens: false,
          parked: 2,
        }),
        {
          member_id: 'b',
          domain: 'b.bitrix24.com',
          sources: ['installed'],
          installed_or_updated_at: at,
          last_payment_at: at,
          suspension: { reason: 'payment', since: at, next_probe_at: null },
          enterprise: true,
          has_oauth_tokens: true,
          parked: 0,
          waiting: 2,
          problem: null,
        },
      ],
      any_other_is_believed: true,
    });
  });

  it('shows columns, and no token', async () => {
    await install('first');
    await install('second', { oauth: null });
    const { lines, exitCode } = await list(false);
    expect(exitCode).toBe(0);
    expect(lines[0]).toMatch(/^MEMBER_ID +DOMAIN +INSTALLED OR UPDATED/);
    expect(lines[1]).toMatch(
      /^first +first\.bitrix24\.com +2026-03-17T14:52:41Z \((?:in )?\d+ \w+(?: ago)?\) .*active$/,
    );
    expect(lines[2]).toMatch(/no OAuth tokens: events, no REST$/);
    const shown = (await show('first', false)).lines;
    expect([...lines, ...shown, ...(await show('first', true)).lines].join('\n')).not.toMatch(/secret/);
  });

  it('says where it knows of none', async () => {
    expect((await list(false)).lines).toEqual([
      'no portal is known: none is installed, and APPLICATION_TOKENS names none',
    ]);
  });

  it('shows the others where one record cannot be opened, and says so of that one', async () => {
    await install('fine');
    await install('broken');
    await shared.redis.set(shared.keys.portal('broken'), '{"v":9}');
    const [broken, fine] = (await list(false)).lines.slice(1);
    expect(broken).toMatch(/^broken .*the record of portal broken was written by another release$/);
    expect(fine).toMatch(/active$/);
  });

  it('shows one with its connectors, and ends with 1 for one of which nothing is known', async () => {
    await install('known');
    await createConnectorStates(shared).note('known', { connector: 'my_chat', line: 107, state: 'off', ts: TS });
    expect(told(await show('known', true))).toMatchObject({
      member_id: 'known',
      oauth_user_id: 27,
      application_tokens: 1,
      connectors: [{ connector: 'my_chat', line: 107, state: 'off', since: '2026-03-17T14:52:41Z', configured: false }],
    });
    expect((await show('known', false)).lines.at(-1)).toMatch(/^my_chat +107 +off/);
    const stranger = await show('stranger', false);
    expect(stranger.exitCode).toBe(1);
    expect(stranger.lines.join('\n')).toContain('it is not installed');
  });

  it('keeps what a portal is called from steering the terminal', async () => {
    await install('sly', { domain: 'a\u001b[2Jb' });
    expect((await list(false)).lines.join('')).toContain('a?[2Jb');
    expect((await show('sly', false)).lines.join('')).toContain('a?[2Jb');
  });
});

describe('b24-events connectors', () => {
  it('tells what events said, of B24_CONNECTORS also what none said, and what overrules both', async () => {
    const states = createConnectorStates(shared);
    await install('busy');
    await install('gone');
    await states.note('busy', { connector: 'My_Chat', line: 107, state: 'on', ts: TS });
    await states.note('busy', { connector: 'my_chat', line: 108, state: 'on', ts: TS });
    await states.note('busy', { line: 108, state: 'off', ts: TS + 1 });
    await states.note('gone', { connector: 'my_chat', line: 1, state: 'on', ts: TS });
    await states.note('gone', { state: 'off', ts: TS + 1 });
    const [at, later] = ['2026-03-17T14:52:41Z', '2026-03-17T14:52:42Z'];
    const overruled = { connector: null, state: 'off', since: later, configured: false };
    expect(told(await connectors([], { B24_CONNECTORS: CONNECTORS }))).toEqual({
      portals: [
        {
          member_id: 'busy',
          domain: 'busy.bitrix24.com',
          connectors: [
            { ...overruled, line: 108 },
            { connector: 'my_chat', line: 107, state: 'on', since: at, configured: true },
            { connector: 'my_chat', line: 108, state: 'off', since: later, configured: true },
            { connector: 'quiet', line: null, state: 'on', since: null, configured: true },
          ],
        },
        {
          member_id: 'gone',
          domain: 'gone.bitrix24.com',
          connectors: [
            { ...overruled, line: null },
            { connector: 'my_chat', line: 1, state: 'off', since: later, configured: true },
          ],
        },
      ],
    });
  });

  it('takes only the portals it is given', async () => {
    await install('one');
    await install('two');
    expect(told(await connectors(['two']))).toMatchObject({ portals: [{ member_id: 'two' }] });
  });

  it('reads a portal of very many lines in pages', async () => {
    await install('large');
    const fields = Array.from({ length: 1500 }, (_, line) => [`my_chat|${line + 1}`, `${TS} on`]).flat();
    await shared.redis.hset(shared.keys.connectors('large'), ...fields);
    const answer = told(await connectors(['large'])) as { portals: { connectors: { line: number }[] }[] };
    const lines = answer.portals[0]?.connectors.map(({ line }) => line);
    expect(lines).toEqual(Array.from({ length: 1500 }, (_, line) => line + 1));
  });
});

describe('the program, with these commands', () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'b24-commands-'));
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));

  function cli(args: readonly string[], env: NodeJS.ProcessEnv = {}): NodeProcess {
    const all = { PATH: process.env['PATH'], ...commandEnv(shared, { DATA_DIR: dataDir, ...env }) };
    return new NodeProcess({ args: ['dist/cli/main.js', ...args], env: all });
  }

  it.each([
    [['portals', '--help'], 0, /list[\s\S]*show[\s\S]*erase[\s\S]*--json/],
    [['queue', 'pause', 'rejected'], 1, /Allowed choices are deliveries, effects, all/],
    [['queue', 'resume', 'rejected'], 0, /^rejected: resumed$/],
    [['portals', 'show', 'no:colon'], 1, /letters, digits/],
    [['subscribe', '--portal', 'no:colon'], 1, /letters, digits/],
    [['portals', 'erase', 'somebody'], 1, /^nobody can be asked here: --yes/],
    [['portals', '--json'], 0, /^\{"portals":\[\]/],
  ])('%j ends with %i and says why', async (args, exitCode, output) => {
    const program = cli(args);
    expect(await program.exitCode()).toBe(exitCode);
    expect(program.output()).toMatch(output);
  });

  it('wants the key of the other processes, and ends with 78 without it', async () => {
    const program = cli(['portals'], { SECRET_KEY: '' });
    expect(await program.exitCode()).toBe(78);
    expect(program.lines).toEqual([expect.stringMatching(/^SECRET_KEY: /)]);
    await writeFile(join(dataDir, 'secret.key'), commandEnv(shared)['SECRET_KEY'] ?? '');
    expect(await cli(['portals'], { SECRET_KEY: '' }).exitCode()).toBe(0);
  });

  it('says in a sentence that Redis is not there, or refuses', async () => {
    const lonely = cli(['queue'], { REDIS_URL: 'redis://127.0.0.1:1' });
    expect(await lonely.exitCode()).toBe(1);
    expect(lonely.lines).toEqual([expect.stringMatching(/^no Redis answers at /)]);
    const refused = await runCommand(shared, () => Promise.reject(new Error('OOM command not allowed'))).catch(String);
    expect(refused).toBe('StartError: Redis does not do what is asked of it: OOM command not allowed');
  });

  it('ends with 130 after a signal', async () => {
    const stop = new AbortController();
    const run = runCommand(shared, () => new Promise(() => stop.abort()), { signal: stop.signal });
    expect((await run).exitCode).toBe(130);
  });

  it('survives a reader that goes away', async () => {
    await Promise.all(Array.from({ length: 50 }, (_, number) => install(`portal-${number}`)));
    const program = cli(['portals']);
    program.child.stdout.destroy();
    expect(await program.exitCode()).toBe(0);
  });
});
