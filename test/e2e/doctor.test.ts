import { readdir } from 'node:fs/promises';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { createEchoes, ECHO_FIELD } from '../../src/shared/echoes.js';
import { createKeys } from '../../src/shared/keys.js';
import { openQueue } from '../../src/shared/queues.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectFailingFast, type Redis } from '../../src/shared/redis.js';
import { AppSystem, appEnvironment } from '../support/app-system.js';
import { runDoctor } from '../support/doctor-run.js';
import { NodeProcess } from '../support/node-process.js';
import { describeWithRedisBinary } from '../support/redis-server.js';
import { RECEIVER_SECRET } from '../support/receiver.js';
import { silentLogger } from '../support/shared-redis.js';
import { startStubApp } from '../support/stub-app.js';
import { waitUntil } from '../support/wait-until.js';

const PREFIX = '{b24}';

let app: AppSystem;
let redis: Redis;
let env: NodeJS.ProcessEnv;

async function startApp(): Promise<void> {
  const ports = { API_OPS_PORT: String(await findFreePort()), WORKER_OPS_PORT: String(await findFreePort()) };
  app = await AppSystem.start({ env: ports });
  await app.install();
  const { origin, port } = new URL(app.system.url);
  redis = connectFailingFast(singleRedis(app.system.redis.url), silentLogger);
  env = {
    REDIS_URL: app.system.redis.url,
    DATA_DIR: app.system.dataDir,
    API_HOST: '127.0.0.1',
    API_PORT: port,
    ...ports,
    FORWARD_URL: app.system.receiver.url,
    FORWARD_SECRET: RECEIVER_SECRET,
    DISK_FREE_BYTES_MIN: '0',
    ...appEnvironment(app.simulator, origin),
  };
}

/** As the portal sends it, or somebody who knows the word and not the token. */
async function sendTest(word: string, auth: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const data = { QUERY: { [ECHO_FIELD]: word }, LANGUAGE_ID: 'en' };
  await app.portal.send('ONAPPTEST', data, { url: app.system.url, auth });
}

describeWithRedisBinary('doctor, of a system that runs', () => {
  beforeAll(startApp);
  afterAll(async () => {
    redis.disconnect();
    await app.close();
  });
  afterEach(() => {
    app.portal.faults.refusal = null;
  });

  it('finds that nothing fails, the way of an event included, and leaves all as it was', async () => {
    const handlers = [...app.portal.state.handlers];
    const run = await runDoctor(env);
    expect(run.ids('fail')).toEqual([]);
    expect(run.exitCode).toBe(0);
    for (const id of ['ports.api', 'processes.ingress', 'processes.worker', 'portals.tokens', 'portals.events'])
      expect(run.of(id).map(({ status }) => status)).toEqual(['ok']);
    expect(run.of('portals.echo')).toEqual([
      expect.objectContaining({
        status: 'ok',
        member_id: app.portal.memberId,
        found: expect.stringMatching(/^an event came back in /),
      }),
    ]);
    expect(app.portal.state.handlers).toEqual(handlers);
    expect(app.forwarded('ONAPPTEST')).toBe(0);
    expect((await readdir(app.system.dataDir)).filter((name) => name.includes('doctor'))).toEqual([]);
  });

  it('leaves ONAPPTEST bound where it was bound before', async () => {
    const [first] = app.portal.state.handlers;
    if (!first) throw new Error('nothing is bound');
    const bound = { ...first, id: 9999, event: 'ONAPPTEST' };
    app.portal.state.handlers.push(bound);
    expect((await runDoctor(env)).of('portals.echo')[0]?.status).toBe('ok');
    expect(app.portal.state.handlers).toContain(bound);
    app.portal.state.handlers.pop();
  });

  it('says that events are bound to another address', async () => {
    const { state } = app.portal;
    const before = state.handlers;
    state.handlers = before.map((handler) => ({ ...handler, url: 'http://old.example/secret-path' }));
    const run = await runDoctor(env);
    state.handlers = before;
    expect(run.ids('fail')).toEqual(['portals.events']);
    expect(run.of('portals.events')[0]).toMatchObject({
      advice: 'b24-events subscribe',
      found: expect.stringMatching(/^10 of 10 are not bound to PUBLIC_URL; there are some at old\.example: ONIM/),
    });
    expect(run.text).not.toContain('secret-path');
  });

  it('says that events do not come back, and takes its binding away all the same', async () => {
    const { state } = app.portal;
    const elsewhere = `http://127.0.0.1:${await findFreePort()}`;
    const run = await runDoctor({ ...env, PUBLIC_URL: elsewhere }, { echoTimeoutMs: 1000 });
    expect(run.ids('fail')).toEqual(['portals.events', 'portals.echo']);
    expect(run.of('ports.public-url')[0]).toMatchObject({
      status: 'warn',
      found: expect.stringContaining('nothing listens'),
    });
    expect(state.handlers.filter(({ event }) => event === 'ONAPPTEST')).toEqual([]);
  });

  it('takes its binding away after a signal too, and ends with 130 only then', async () => {
    const isBound = (): boolean => app.portal.state.handlers.some(({ event }) => event === 'ONAPPTEST');
    const elsewhere = { PUBLIC_URL: `http://127.0.0.1:${await findFreePort()}` };
    const all = { PATH: process.env['PATH'], ...env, ...elsewhere };
    const run = new NodeProcess({ args: ['dist/cli/main.js', 'doctor'], env: all });
    await waitUntil('it is bound', isBound);
    run.child.kill('SIGINT');
    expect({ exitCode: await run.exitCode(), isBound: isBound() }).toEqual({ exitCode: 130, isBound: false });
  });

  it('says that the app is not installed in the portal that is asked for, and looks at no other one', async () => {
    const run = await runDoctor(env, { portal: 'nobody' });
    expect(
      run.checks.flatMap(({ id, status, member_id: of }) => (of === undefined ? [] : [{ id, status, of }])),
    ).toEqual([{ id: 'portals.record', status: 'fail', of: 'nobody' }]);
  });

  it('says what problem a process tells of itself, and that a queue is paused', async () => {
    const body = JSON.stringify({ status: 'not ready', problems: ['the disk is full'], warnings: ['Redis is away'] });
    const troubled = await startStubApp();
    troubled.answer = ({ path }) =>
      path === '/readyz' ? { status: 503, body } : { status: 200, body: '{"status":"ok"}' };
    const queue = openQueue('effects', redis, PREFIX);
    await queue.pause();
    const run = await runDoctor({ ...env, API_OPS_PORT: new URL(troubled.url).port });
    await queue.resume();
    await troubled.close();
    expect(run.ids('fail')).toEqual(['processes.ingress']);
    expect(run.of('processes.ingress').map(({ found }) => found)).toEqual(['the disk is full', 'Redis is away']);
    expect(run.of('queues.effects')[0]).toMatchObject({ status: 'warn', advice: 'b24-events queue resume effects' });
  });

  it('is told by a person in lines, by a script in JSON, and tells neither a secret', async () => {
    const run = new NodeProcess({ args: ['dist/cli/main.js', 'doctor'], env: { PATH: process.env['PATH'], ...env } });
    expect({ exitCode: await run.exitCode(), failing: run.lines.filter((line) => line.startsWith('  fail')) }).toEqual({
      exitCode: 0,
      failing: [],
    });
    expect(run.output()).toMatch(/^Redis\n {2}ok {4}reachable — /m);
    expect(run.lines.at(-1)).toMatch(/^\d+ ok, \d+ warn, 0 fail$/);
    const { text } = await runDoctor(env);
    const secrets = [
      ...app.simulator.issuedTokens,
      app.simulator.clientSecret,
      app.portal.applicationToken,
      RECEIVER_SECRET,
    ];
    for (const secret of secrets) expect(run.output() + text).not.toContain(secret);
  });

  it('hears its word in an event of that portal alone, and in no forgery', async () => {
    const echoes = createEchoes({ redis, keys: createKeys(PREFIX) });
    const { memberId } = app.portal;
    const word = await echoes.begin(memberId);
    const others = await echoes.begin('another-portal');
    const rejected = openQueue('rejected', redis, PREFIX);
    await sendTest(word, { application_token: 'forged' });
    await waitUntil('the forgery is rejected', async () => (await rejected.getFailedCount()) === 1);
    await sendTest(others);
    await app.forwards('ONAPPTEST', 1);
    expect([await echoes.isHeard(memberId, word), await echoes.isHeard('another-portal', others)]).toEqual([
      false,
      false,
    ]);
    await sendTest(word);
    await waitUntil('the word is heard', () => echoes.isHeard(memberId, word));
    expect(app.forwarded('ONAPPTEST')).toBe(1);
  });

  it('says that a portal refuses its calls, and from then on why it is not called', async () => {
    app.portal.faults.refusal = 'PAYMENT_REQUIRED';
    const first = await runDoctor(env);
    expect(first.of('portals.tokens')[0]).toMatchObject({
      status: 'fail',
      found: expect.stringContaining('PORTAL_SUSPENDED'),
    });
    const second = await runDoctor(env);
    expect(second.of('portals.suspension')[0]?.found).toMatch(
      /^not called since \S+: its plan, or the app, is not paid for$/,
    );
  });
});
