import { execFileSync } from 'node:child_process';
import { mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { findFreePort } from '../../src/cli/free-port.js';
import { findRunning } from '../../src/cli/redis/find-running.js';
import { findRedisBinary, startProcessServer } from '../../src/cli/redis/process-server.js';
import { isAlive, signalProcess } from '../../src/cli/redis/process-identity.js';
import { probeRedis } from '../../src/cli/redis/redis-probe.js';
import { NO_REDIS, provideRedis, type RedisProvision } from '../../src/cli/redis/provide-redis.js';
import type { RedisServer } from '../../src/cli/redis/redis-server.js';
import { NodeProcess } from '../support/node-process.js';
import { describeWithRedisBinary, startRedisServer } from '../support/redis-server.js';

let dataDir: string;
let redisDir: string;
let said: string[];
let pids: number[];

beforeEach(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-provide-')));
  redisDir = join(dataDir, 'redis');
  said = [];
  pids = [];
});

afterEach(async () => {
  for (const pid of pids) signalProcess(pid, 'SIGKILL');
  await rm(dataDir, { recursive: true, force: true });
});

function say(line: string): void {
  said.push(line);
}

async function provide(overrides: Partial<RedisProvision> = {}): Promise<RedisServer> {
  const server = await provideRedis({ lock: { dataDir }, env: process.env, isRoot: false, say, ...overrides });
  const pid = await pidOf(server);
  if (pid !== undefined) pids.push(pid);
  return server;
}

/** undefined for a container, whose pid is one of another world. */
async function pidOf({ port }: RedisServer): Promise<number | undefined> {
  const probe = await probeRedis(port);
  return probe.state === 'redis' && probe.dir === redisDir ? probe.pid : undefined;
}

async function processOf(server: RedisServer): Promise<number> {
  const pid = await pidOf(server);
  if (pid === undefined) throw new Error('it is no process of this machine');
  return pid;
}

async function ask<Answer>(url: string, question: (redis: Redis) => Promise<Answer>): Promise<Answer> {
  const redis = new Redis(url);
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}

describeWithRedisBinary('a Redis from the PATH', () => {
  test('listens on the loopback address only, keeps all on disk, and evicts nothing', async () => {
    const server = await provide();

    const settings = await ask(server.url, (redis) =>
      redis.config('GET', 'bind', 'dir', 'appendonly', 'appendfsync', 'maxmemory-policy'),
    );

    expect(settings).toEqual(expect.arrayContaining(['127.0.0.1', redisDir, 'yes', 'everysec', 'noeviction']));
    expect(said).toEqual([
      expect.stringMatching(/^Redis at redis:\/\/127\.0\.0\.1:\d+: (redis|valkey)-server from the PATH/),
    ]);
    await server.stop();
  });

  test('leads a process group of its own, which a Ctrl-C does not reach', async () => {
    const server = await provide();
    const pid = await processOf(server);

    const group = execFileSync('ps', ['-o', 'pgid=', '-p', String(pid)], { encoding: 'utf8' });

    expect(Number(group)).toBe(pid);
    await server.stop();
  });

  test('is gone after its stop, and the next one has its data', async () => {
    const first = await provide();
    const pid = await processOf(first);
    await ask(first.url, (redis) => redis.set('kept', 'yes'));
    await first.stop();
    expect(isAlive(pid)).toBe(false);

    const second = await provide();

    expect(second.isReused).toBe(false);
    await expect(ask(second.url, (redis) => redis.get('kept'))).resolves.toBe('yes');
    await second.stop();
  });

  test('shows the end of its log when it does not come up', async () => {
    const taken = await startRedisServer();

    // Nothing but the server on the PATH: where there is Docker, that would be next.
    await symlink(await binaryPath(), join(dataDir, 'redis-server'));

    await expect(provide({ port: taken.port, env: { PATH: dataDir } })).rejects.toThrow(
      /did not start.*\n.*Address already in use/s,
    );

    await taken.remove();
  });

  test('a stop ends one that is frozen', async () => {
    const server = await provide();
    const pid = await processOf(server);
    signalProcess(pid, 'SIGSTOP');

    await server.stop({ timeoutMs: 50 });

    await expect(server.ended).resolves.toBe('ended by SIGKILL');
  });
});

describeWithRedisBinary('a Redis that an earlier run left behind', () => {
  test('is reused after a kill -9 of the process that started it', async () => {
    const module = pathToFileURL('dist/cli/redis/provide-redis.js').href;
    const starter = NodeProcess.ofCode(`import { provideRedis } from ${JSON.stringify(module)};
      const lock = { dataDir: ${JSON.stringify(dataDir)} };
      const server = await provideRedis({ lock, env: process.env, isRoot: false, say: () => undefined });
      console.log('port ' + server.port);
      setInterval(() => undefined, 1000);`);
    const port = Number((await starter.line(/^port /)).slice('port '.length));
    await starter.kill('SIGKILL');

    const server = await provide();

    expect(server).toMatchObject({ port, isReused: true });
    expect(said).toEqual([expect.stringContaining('left running by an earlier start')]);
    await server.stop();
    await expect(probeRedis(port)).resolves.toEqual({ state: 'refused' });
  });

  test('tells when it ends', async () => {
    const pid = await processOf(await provide());
    const reused = await provide();

    signalProcess(pid, 'SIGKILL');

    await expect(reused.ended).resolves.toBe('ended');
  });

  test.each([
    ['the instance file is missing', ['instance.json']],
    ['the instance file and the configuration are missing', ['instance.json', 'redis.conf']],
    ['the pid file is missing', ['redis.pid']],
  ])('is found when %s', async (_case, files) => {
    const first = await provide();
    for (const file of files) await rm(join(redisDir, file));

    const second = await provide();

    expect(second).toMatchObject({ port: first.port, isReused: true });
    await second.stop();
  });

  test('is found when the instance file is cut short', async () => {
    const first = await provide();
    await writeFile(join(redisDir, 'instance.json'), '{"kind":"proc');

    const second = await provide();

    expect(second.port).toBe(first.port);
    await second.stop();
  });

  test('is waited for when it was spawned but does not listen yet', async () => {
    const port = await findFreePort();
    await (await provide()).stop();
    await writeFile(join(redisDir, 'instance.json'), JSON.stringify({ kind: 'process', port, pid: null, binary: 'x' }));
    await rm(join(redisDir, 'redis.conf'));
    const finding = findRunning({ dir: redisDir });

    const late = await startProcessServer({ binary: await binaryPath(), dir: redisDir, port });
    pids.push(await processOf(late));

    await expect(finding).resolves.toMatchObject({ port });
    await late.stop();
  });

  test('is refused, with pid, port and directory, while it does not answer', async () => {
    const server = await provide();
    const pid = await processOf(server);
    signalProcess(pid, 'SIGSTOP');

    const search = findRunning({ dir: redisDir, patienceMs: 100 });

    await expect(search).rejects.toThrow(
      new RegExp(`process ${pid} \\(port ${server.port}\\) may be a Redis that an earlier run left on ${redisDir}`),
    );
    signalProcess(pid, 'SIGCONT');
    await server.stop();
  });
});

describeWithRedisBinary('records of an earlier run that mean nothing any more', () => {
  test('a pid that another program has now: a new one is started', async () => {
    await leaveRecords({ pid: process.pid, port: await findFreePort() });

    const server = await provide();

    expect(server.isReused).toBe(false);
    await server.stop();
  });

  test('a pid and a port that the Redis of another directory has now: it is left alone', async () => {
    const other = await startRedisServer();
    await leaveRecords({ pid: other.pid, port: other.port });

    const server = await provide();

    expect(server).toMatchObject({ isReused: false });
    expect(server.port).not.toBe(other.port);
    await server.stop();
    expect(isAlive(other.pid)).toBe(true);
    await other.remove();
  });

  test('a port that a program of another kind has now: a new one is started', async () => {
    const stranger = await listenAsStranger();
    await leaveRecords({ pid: 999_999_999, port: (stranger.address() as AddressInfo).port });

    const server = await provide();

    expect(server.isReused).toBe(false);
    await server.stop();
    stranger.close();
  });
});

describe('where there is no Redis to be had', () => {
  test('says the three ways to get one', async () => {
    await expect(provide({ env: { PATH: '' }, isRoot: true })).rejects.toThrow(NO_REDIS);
  });

  test('does not begin with an empty queue beside files that only a server on the PATH can read', async () => {
    await provide({ env: { PATH: '' } }).catch(() => undefined);
    await writeFile(join(redisDir, 'appendonly.aof'), '');

    await expect(provide({ env: { PATH: '' } })).rejects.toThrow(`the queue of this DATA_DIR is in ${redisDir}`);
  });
});

async function leaveRecords(record: { readonly pid: number; readonly port: number }): Promise<void> {
  await (await provide()).stop();
  await writeFile(join(redisDir, 'instance.json'), JSON.stringify({ kind: 'process', binary: 'x', ...record }));
  await writeFile(join(redisDir, 'redis.pid'), `${record.pid}\n`);
}

async function binaryPath(): Promise<string> {
  const binary = await findRedisBinary(process.env.PATH ?? '');
  if (binary === undefined) throw new Error('no server on the PATH');
  return binary;
}

async function listenAsStranger(): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n');
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}
