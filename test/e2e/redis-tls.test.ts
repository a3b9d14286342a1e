import { type ChildProcess } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { openRedis } from '../../src/cli/redis/open-redis.js';
import { loadConfig } from '../../src/shared/config.js';
import { readRedisInfo } from '../../src/shared/redis-info.js';
import { endSentinel, startSentinel } from '../support/redis-sentinels.js';
import { withRedisAt, type TestRedis } from '../support/redis-server.js';
import { createAuthority, describeWithOpenssl, startTlsServer, type TestAuthority } from '../support/redis-tls.js';
import { silentLogger } from '../support/shared-redis.js';
import { messageBody, startProcess, System } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

let authority: TestAuthority;
const servers: TestRedis[] = [];
let sentinel: ChildProcess | undefined;
let dir: string;

async function startServer(more?: Readonly<Record<string, string>>): ReturnType<typeof startTlsServer> {
  const started = await startTlsServer(authority, more);
  servers.push(started.server);
  return started;
}

/** As a command would; it says why not. */
async function runIdOf(env: NodeJS.ProcessEnv): Promise<string> {
  const redis = await openRedis(loadConfig({ DATA_DIR: dir, ...env }), silentLogger);
  try {
    return (await readRedisInfo(redis)).runId;
  } finally {
    redis.disconnect();
  }
}

function realRunIdOf({ url }: TestRedis): Promise<string | undefined> {
  return withRedisAt(url, async (redis) => /^run_id:(\w+)/m.exec(await redis.info('server'))?.[1]);
}

describeWithOpenssl('Redis by TLS (needs openssl)', () => {
  beforeAll(async () => {
    authority = await createAuthority();
    dir = await mkdtemp(join(tmpdir(), 'b24-tls-'));
  });
  afterEach(async () => {
    if (sentinel) await endSentinel(sentinel);
    sentinel = undefined;
    for (const server of servers.splice(0)) await server.remove();
  });
  afterAll(async () => {
    await authority.remove();
    await rm(dir, { recursive: true, force: true });
  });

  it('takes an event the whole way where REDIS_TLS_CA names the authority', async () => {
    const { server, tlsUrl } = await startServer();
    const system = await System.start({ redis: server, env: { REDIS_URL: tlsUrl, REDIS_TLS_CA: authority.ca } });
    try {
      await system.post(messageBody(1));
      await system.allForwarded([1]);
    } finally {
      await system.close();
    }
  });

  it('says that it is the certificate where it does not, and goes on accepting', async () => {
    const { tlsUrl } = await startServer();
    const env = { REDIS_URL: tlsUrl, DATA_DIR: dir, API_HOST: '127.0.0.1', API_PORT: '0', API_OPS_PORT: '0' };
    await expect(runIdOf(env)).rejects.toThrow(/^no Redis answers at 127\.0\.0\.1:\d+ \(.*certificate.*REDIS_URL$/);
    const api = startProcess('dist/api/main.js', env);
    try {
      await waitUntil('the log speaks of a certificate', () =>
        api.logged('redis.lost').some(({ reason }) => String(reason).includes('certificate')),
      );
      await waitUntil('it listens', () => api.logged('ingress.listening').length === 1);
    } finally {
      api.signal('SIGKILL');
      await api.ended();
    }
  });

  it('reaches the master by Sentinels that speak TLS too', async () => {
    const { server, tlsPort } = await startServer({ 'tls-replication': 'yes' });
    const port = await findFreePort();
    const settings = Object.entries(authority.settings).map(([name, value]) => `${name} ${value}`);
    const lines = ['port 0', `tls-port ${port}`, 'tls-replication yes', ...settings];
    sentinel = await startSentinel({ port, dir, lines: [...lines, `sentinel monitor events 127.0.0.1 ${tlsPort} 1`] });
    const env = { REDIS_SENTINELS: `127.0.0.1:${port}`, REDIS_SENTINEL_NAME: 'events', REDIS_URL: 'rediss://any' };
    const found = (): Promise<string | undefined> =>
      runIdOf({ ...env, REDIS_TLS_CA: authority.ca }).catch(() => undefined);
    const wanted = await realRunIdOf(server);
    await waitUntil('the master is found', async () => (await found()) === wanted);
    // Each ends connections while their certificate is being refused, which has ended the process in one of three.
    for (let i = 0; i < 20; i += 1) await expect(runIdOf(env)).rejects.toThrow(/certificate.*REDIS_SENTINELS$/);
    const others = { ...env, REDIS_TLS_CA: authority.ca, REDIS_SENTINEL_NAME: 'other' };
    await expect(runIdOf(others)).rejects.toThrow(/master "other".*No such master/);
  });

  it('reaches the nodes of a cluster that speak TLS', async () => {
    const busPort = await findFreePort();
    const cluster = { 'cluster-enabled': 'yes', 'tls-cluster': 'yes', 'cluster-port': String(busPort) };
    const { server, tlsPort } = await startServer({ ...cluster, 'cluster-announce-ip': '127.0.0.1' });
    await withRedisAt(server.url, (redis) => redis.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16_383));
    const env = { REDIS_CLUSTER_NODES: `localhost:${tlsPort}`, REDIS_URL: 'rediss://any' };
    const wanted = await realRunIdOf(server);
    await waitUntil(
      'its node is found',
      async () => (await runIdOf({ ...env, REDIS_TLS_CA: authority.ca }).catch(() => undefined)) === wanted,
    );
    await expect(runIdOf(env)).rejects.toThrow(/certificate.*REDIS_CLUSTER_NODES$/);
  });
});
