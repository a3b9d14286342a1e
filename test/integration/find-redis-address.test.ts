import { mkdir, mkdtemp, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findRedisAddress } from '../../src/cli/redis/find-redis-address.js';
import { writeInstance } from '../../src/cli/redis/instance-file.js';
import { findRedisBinary, startProcessServer } from '../../src/cli/redis/process-server.js';
import { loadConfig } from '../../src/shared/config.js';
import { DEFAULT_REDIS_URL, singleRedis, type RedisAddress } from '../../src/shared/redis-address.js';
import { describeWithRedisBinary } from '../support/redis-server.js';
import { useSharedRedis } from '../support/shared-redis.js';

let dataDir: string;
let dir: string;

beforeEach(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-find-url-')));
  dir = join(dataDir, 'redis');
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

function find(env: NodeJS.ProcessEnv = {}): Promise<RedisAddress> {
  return findRedisAddress(loadConfig({ DATA_DIR: dataDir, ...env }));
}

describe('findRedisAddress', () => {
  it('takes what the configuration says where it says anything', async () => {
    expect(await find({ REDIS_URL: 'redis://redis.example:6380' })).toEqual(singleRedis('redis://redis.example:6380'));
    const sentinels = { REDIS_SENTINELS: 'one.example:26379', REDIS_SENTINEL_NAME: 'events' };
    expect(await find(sentinels)).toMatchObject({ kind: 'sentinel', name: 'events' });
    expect(await find({ REDIS_CLUSTER_NODES: 'one.example:6379' })).toMatchObject({ kind: 'cluster' });
  });

  it('takes the default address where nothing was ever started on DATA_DIR, or what was has ended', async () => {
    expect(await find()).toEqual(singleRedis(DEFAULT_REDIS_URL));
    await mkdir(dir);
    await writeInstance(dir, { kind: 'process', port: 1, pid: 4_000_000, binary: 'redis-server' });
    expect(await find()).toEqual(singleRedis(DEFAULT_REDIS_URL));
    await writeInstance(dir, { kind: 'docker', port: 1, container: 'b24-events' });
    expect(await find()).toEqual(singleRedis(DEFAULT_REDIS_URL));
  });

  it('finds a container by its port', async () => {
    const shared = useSharedRedis();
    const port = Number(new URL(shared.url).port);
    await mkdir(dir);
    await writeInstance(dir, { kind: 'docker', port, container: 'b24-events' });
    expect(await find()).toEqual(singleRedis(`redis://127.0.0.1:${port}`));
    await shared.close();
  });
});

describeWithRedisBinary('findRedisAddress, beside npm start', () => {
  it('finds the server that runs on DATA_DIR', async () => {
    await mkdir(dir);
    const binary = (await findRedisBinary(process.env['PATH'] ?? '')) ?? '';
    const server = await startProcessServer({ binary, dir });
    try {
      expect(await find()).toEqual(singleRedis(server.url));
    } finally {
      await server.stop();
    }
  });

  it('says of one that does not answer that it hangs, and has nobody end it', async () => {
    await mkdir(dir);
    const binary = (await findRedisBinary(process.env['PATH'] ?? '')) ?? '';
    const server = await startProcessServer({ binary, dir });
    const pid = Number(await readFile(join(dir, 'redis.pid'), 'utf8'));
    try {
      process.kill(pid, 'SIGSTOP');
      await expect(find()).rejects.toThrow(
        `the Redis of npm start (process ${pid}, port ${server.port}) does not answer: look why it hangs`,
      );
    } finally {
      process.kill(pid, 'SIGCONT');
      await server.stop();
    }
  });
});
