import { execFile } from 'node:child_process';
import { existsSync, statfsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { findFreePort } from '../../src/cli/free-port.js';
import { createKeys } from '../../src/shared/keys.js';
import { doctorEnvironment, runDoctor, writeDoctor } from '../support/doctor-run.js';
import { RECEIVER_SECRET } from '../support/receiver.js';
import { describeWithRedisBinary, startRedisServer, withRedisAt, type TestRedis } from '../support/redis-server.js';

const PREFIX = '{doctor}';
const keys = createKeys(PREFIX);

const TMPFS = 0x01021994;
/** Systems other than Linux have no file system in memory at a known place. */
const describeWithTmpfs = existsSync('/dev/shm') && statfsSync('/dev/shm').type === TMPFS ? describe : describe.skip;

let server: TestRedis;
let dataDir: string;
let env: NodeJS.ProcessEnv;
/** What a test has changed, to be put back. */
let mend: (() => Promise<unknown>)[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'b24-doctor-'));
  await mkdir(join(dataDir, 'handlers'));
  await writeFile(join(dataDir, 'handlers', 'one.js'), '');
  mend = [];
  env = {
    ...(await doctorEnvironment(server?.url, dataDir)),
    QUEUE_PREFIX: PREFIX,
    HANDLERS_DIR: join(dataDir, 'handlers'),
  };
});

afterEach(async () => {
  for (const undo of mend) await undo();
  await rm(dataDir, { recursive: true, force: true });
});

function atRedis<Value>(use: (redis: Redis) => Promise<Value>): Promise<Value> {
  return withRedisAt(server.url, use);
}

/** Until the end of the test. */
async function setRedis(name: string, value: string): Promise<void> {
  const [, before = ''] = await atRedis<string[]>((redis) => redis.config('GET', name));
  await atRedis((redis) => redis.config('SET', name, value));
  mend.push(() => atRedis((redis) => redis.config('SET', name, before)));
}

async function failuresWith(more: NodeJS.ProcessEnv = {}): Promise<readonly string[]> {
  return (await runDoctor({ ...env, ...more })).ids('fail');
}

describeWithRedisBinary('doctor, of a good setup in which nothing runs yet', () => {
  beforeAll(async () => {
    server = await startRedisServer({ maxmemory: '64mb' });
  });
  afterAll(() => server.remove());

  it('finds nothing that fails, leaves nothing behind, and ends with 0', async () => {
    const before = await readdir(dataDir);
    const run = await runDoctor(env);
    expect(run.ids('fail')).toEqual([]);
    expect(run).toMatchObject({ exitCode: 0, isOk: true });
    expect(await readdir(dataDir)).toEqual(before);
    expect(await atRedis((redis) => redis.keys('*'))).toEqual([]);
  });

  it('says each fault of Redis by its id, and what to do', async () => {
    await setRedis('maxmemory-policy', 'allkeys-lru');
    await setRedis('appendonly', 'no');
    await setRedis('appendfsync', 'no');
    const run = await runDoctor(env);
    expect(run.ids('fail')).toEqual(['redis.eviction-policy', 'redis.append-only', 'redis.fsync']);
    expect(run.of('redis.eviction-policy')).toEqual([
      {
        id: 'redis.eviction-policy',
        group: 'redis',
        status: 'fail',
        found: 'allkeys-lru: locks, claims and waiting events can vanish without a word',
        advice: 'set maxmemory-policy to noeviction',
      },
    ]);
    expect(run).toMatchObject({ exitCode: 1, isOk: false });
  });

  it('says that Redis is full', async () => {
    await setRedis('maxmemory', '1mb');
    const run = await runDoctor(env);
    expect(run.ids('fail')).toEqual(['redis.memory', 'redis.writes']);
    expect(run.of('redis.writes')[0]?.found).toMatch(/^a write is refused: OOM/);
  });

  it('says that Redis is a replica, and looks at all that comes after', async () => {
    const master = await findFreePort();
    await atRedis((redis) => redis.replicaof('127.0.0.1', master));
    mend.push(() => atRedis((redis) => redis.replicaof('NO', 'ONE')));
    const run = await runDoctor(env);
    expect(run.ids('fail')).toEqual(['redis.role', 'redis.writes']);
    expect(run.of('redis.writes')[0]?.found).toMatch(/READONLY/);
    expect(run.of('queues.deliveries')[0]?.status).toBe('ok');
  });

  it('says why Redis is not reached, and never with its password', async () => {
    await setRedis('requirepass', 'right-password');
    mend = [
      () =>
        withRedisAt(server.url.replace('//', '//:right-password@'), (redis) => redis.config('SET', 'requirepass', '')),
    ];
    const wrong = await runDoctor({ ...env, REDIS_URL: server.url.replace('//', '//:wrong-password@') });
    expect(wrong.of('redis.reachable')[0]).toMatchObject({
      status: 'fail',
      advice: expect.stringContaining('password'),
    });
    expect(wrong.text).not.toContain('wrong-password');
    const refused = await runDoctor({ ...env, REDIS_URL: `redis://127.0.0.1:${await findFreePort()}` });
    expect(refused.of('redis.reachable')[0]?.advice).toMatch(/nothing listens there/);
    const unknown = await runDoctor({ ...env, REDIS_URL: 'redis://no-such-host.invalid' });
    expect(unknown.of('redis.reachable')[0]?.advice).toMatch(/DNS/);
    const plain = await runDoctor({ ...env, REDIS_URL: server.url.replace('redis:', 'rediss:') });
    expect(plain.of('redis.reachable')[0]?.advice).toMatch(/rediss:/);
  });

  it('says that a certificate is not valid, of Redis, of PUBLIC_URL and of FORWARD_URL', async () => {
    const impostor = await startSelfSigned(dataDir);
    mend.push(() => new Promise((resolve) => impostor.close(resolve)));
    const { port } = impostor.address() as AddressInfo;
    const address = `https://127.0.0.1:${port}`;
    const addresses = { PUBLIC_URL: address, FORWARD_URL: address, FORWARD_SECRET: RECEIVER_SECRET };
    const run = await runDoctor({ ...env, ...addresses, REDIS_URL: `rediss://127.0.0.1:${port}` });
    expect(run.ids('fail')).toEqual(['redis.reachable', 'ports.public-url', 'forward.forward-url']);
    expect(run.of('redis.reachable')[0]?.advice).toMatch(/REDIS_TLS_CA/);
    expect(run.of('ports.public-url')[0]?.found).toMatch(/^its certificate is not valid/);
    expect(run.of('forward.forward-url')[0]?.found).toMatch(/SELF_SIGNED/);
  });

  it('says that the clocks are apart', async () => {
    const run = await runDoctor(env, { nowMs: () => Date.now() + 60_000 });
    expect(run.ids('fail')).toEqual(['redis.clock']);
    expect(run.of('redis.clock')[0]?.found).toBe('60.0 s behind this machine');
    const little = await runDoctor(env, { nowMs: () => Date.now() - 5000 });
    expect(little.of('redis.clock')[0]).toMatchObject({ status: 'warn', found: '5.0 s ahead of this machine' });
  });

  it('says that the key is another one, or open to everybody', async () => {
    await atRedis((redis) => redis.set(keys.secretKeyId, 'anotherKey'));
    mend.push(() => atRedis((redis) => redis.del(keys.secretKeyId)));
    await chmod(join(dataDir, 'secret.key'), 0o644);
    expect(await failuresWith()).toEqual(['key.file', 'key.same-as-in-redis']);
    await rm(join(dataDir, 'secret.key'));
    expect(await failuresWith()).toEqual(['key.same-as-in-redis']);
    expect(await readdir(dataDir)).toEqual(['handlers']);
  });

  it('says that the disk has too little room', async () => {
    expect(await failuresWith({ DISK_FREE_BYTES_MIN: '9000000000000000' })).toEqual(['disk.free']);
    const run = await runDoctor({ ...env, JOURNAL_BYTES_MAX: '9000000000000000' });
    expect(run.of('disk.free')[0]?.status).toBe('warn');
  });

  describeWithTmpfs('on a file system in memory', () => {
    it('says that a journal in memory would not survive', async () => {
      const inMemory = await mkdtemp('/dev/shm/b24-doctor-');
      mend.push(() => rm(inMemory, { recursive: true }));
      expect(await failuresWith({ DATA_DIR: inMemory, SECRET_KEY: Buffer.alloc(32).toString('base64') })).toEqual([
        'disk.kind',
      ]);
    });
  });

  it('says that a journal was left behind', async () => {
    await mkdir(join(dataDir, 'journal', '20260101T000000000Z-abc'), { recursive: true });
    await writeFile(join(dataDir, 'journal', '20260101T000000000Z-abc', 'LOCK'), '');
    const run = await runDoctor(env);
    expect(run.of('disk.journals')[0]).toMatchObject({
      status: 'warn',
      found: expect.stringMatching(/^1 of 1 journal /),
    });
  });

  it('says that another program has a port', async () => {
    const foreign = createServer((_request, response) => response.end('{"status":"fine"}'));
    await new Promise<void>((resolve) => foreign.listen(Number(env.API_PORT), '127.0.0.1', resolve));
    mend.push(() => new Promise((resolve) => foreign.close(resolve).closeAllConnections()));
    expect(await failuresWith()).toEqual(['ports.api']);
    expect(await failuresWith({ API_PORT: '0', WORKER_OPS_PORT: env.API_PORT })).toEqual(['ports.worker-ops']);
  });

  it('says that Bitrix24 would not call an address without HTTPS', async () => {
    const more = { PUBLIC_URL: 'http://no-such-host.invalid' };
    expect(await failuresWith(more)).toEqual(['configuration.public-url']);
    const inDemo = await runDoctor({ ...env, PUBLIC_URL: 'http://ingress:3000' });
    expect(inDemo.of('configuration.public-url')[0]?.status).toBe('warn');
  });

  it('says that a variable is mistyped, and leaves those of others alone', async () => {
    const mistyped = { REDIS_ULR: 'redis://x', FORWARD_URLS: 'x', B24_CLIENTID_FILE: 'x', B24_THING: 'x' };
    const others = {
      PATH: '/bin',
      REDIS_PORT_6379_TCP: 'x',
      API_SERVICE_HOST: 'x',
      HTTP_PROXY: 'x',
      NODE_ENV: 'x',
      HOSTNAME: 'x',
    };
    const run = await runDoctor({ ...env, ...mistyped, ...others });
    expect(run.of('configuration.unknown-variables').map(({ found, advice }) => `${found}: ${advice}`)).toEqual([
      'nobody reads REDIS_ULR: REDIS_URL may be meant',
      'nobody reads FORWARD_URLS: FORWARD_URL may be meant',
      'nobody reads B24_CLIENTID_FILE: B24_CLIENT_ID may be meant',
      expect.stringContaining('nobody reads B24_THING: look for its name'),
    ]);
    expect(run.exitCode).toBe(0);
  });

  it('says that this command is not told of any portal, nor of what is done about events', async () => {
    const run = await runDoctor({ ...env, APPLICATION_TOKENS: '', HANDLERS_DIR: '' });
    expect(run.ids('warn')).toEqual(expect.arrayContaining(['configuration.portals-known', 'configuration.effects']));
  });

  it('says where events cannot go, without what the address holds', async () => {
    const FORWARD_URL = `http://127.0.0.1:${await findFreePort()}/secret-path`;
    const run = await runDoctor({
      ...env,
      FORWARD_URL,
      FORWARD_SECRET: RECEIVER_SECRET,
      HANDLERS_DIR: join(dataDir, 'none'),
    });
    expect(run.ids('fail')).toEqual(['forward.forward-url', 'forward.handlers']);
    expect(run.text).not.toMatch(/secret-path|whsec_/);
  });

  it('ends with 78 where variables are wrong, names each, and looks at all the rest', async () => {
    const run = await runDoctor({ ...env, API_PORT: 'x', EFFECT_TIMEOUT_MS: 'y', FORWARD_URL: 'http://127.0.0.1:1' });
    expect(run.of('configuration.variables').map(({ found }) => found)).toEqual([
      expect.stringMatching(/^API_PORT: /),
      expect.stringMatching(/^EFFECT_TIMEOUT_MS: /),
      expect.stringMatching(/^FORWARD_SECRET: /),
    ]);
    expect(run.of('redis.writes')[0]?.status).toBe('ok');
    expect(run.of('ports.all')[0]?.found).toMatch(/API_PORT is wrong/);
    expect(run.exitCode).toBe(78);
  });

  it('looks at nothing that lies in DATA_DIR where that is wrong', async () => {
    const run = await runDoctor({ ...env, DATA_DIR_FILE: join(dataDir, 'none') });
    for (const id of ['redis.all', 'key.all', 'disk.all', 'portals.all'])
      expect(run.of(id).map(({ found }) => found)).toEqual(['not looked at, for DATA_DIR is wrong']);
    expect(run.of('queues.all')[0]?.found).toBe('not looked at, for Redis was not reached');
    expect(run.of('ports.api')[0]?.status).toBe('ok');
  });

  it('ends in time, and with 1, where Redis is frozen before or meanwhile', async () => {
    mend.push(async () => server.thaw());
    const startedMs = performance.now();
    const meanwhile = await writeDoctor(env, { json: false }, { onLine: (line) => line === 'Key' && server.freeze() });
    expect(meanwhile.text).toMatch(/\n {2}fail {2}deliveries — /);
    const before = await runDoctor(env);
    expect(before.of('redis.reachable')[0]).toMatchObject({
      status: 'fail',
      advice: expect.stringContaining('frozen'),
    });
    expect([meanwhile.exitCode, before.exitCode]).toEqual([1, 1]);
    expect(performance.now() - startedMs).toBeLessThan(25_000);
  });
});

/** Takes connections with a certificate that nobody has reason to trust; openssl makes it. */
async function startSelfSigned(dir: string): Promise<TlsServer> {
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x'];
  await promisify(execFile)('openssl', [...request, '-keyout', key, '-out', cert]);
  const impostor = createTlsServer({ key: await readFile(key), cert: await readFile(cert) });
  impostor.on('tlsClientError', () => undefined);
  await new Promise<void>((resolve) => impostor.listen(0, '127.0.0.1', resolve));
  return impostor;
}
