import { mkdir, mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findRedisUrl } from '../../src/cli/redis/find-redis-url.js';
import { writeInstance } from '../../src/cli/redis/instance-file.js';
import { findRedisBinary, startProcessServer } from '../../src/cli/redis/process-server.js';
import { describeWithRedisBinary } from '../support/redis-server.js';
import { useSharedRedis } from '../support/shared-redis.js';

const DEFAULT_URL = 'redis://127.0.0.1:6379';

let dataDir: string;
let dir: string;

beforeEach(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-find-url-')));
  dir = join(dataDir, 'redis');
});

afterEach(() => rm(dataDir, { recursive: true, force: true }));

describe('findRedisUrl', () => {
  it('takes REDIS_URL where it is set', async () => {
    const redisUrl = 'redis://redis.example:6379';
    expect(await findRedisUrl({ redisUrl, dataDir })).toBe(redisUrl);
  });

  it('takes the default address where nothing was ever started on DATA_DIR, or what was has ended', async () => {
    expect(await findRedisUrl({ redisUrl: undefined, dataDir })).toBe(DEFAULT_URL);
    await mkdir(dir);
    await writeInstance(dir, { kind: 'process', port: 1, pid: 4_000_000, binary: 'redis-server' });
    expect(await findRedisUrl({ redisUrl: undefined, dataDir })).toBe(DEFAULT_URL);
    await writeInstance(dir, { kind: 'docker', port: 1, container: 'b24-events' });
    expect(await findRedisUrl({ redisUrl: undefined, dataDir })).toBe(DEFAULT_URL);
  });

  it('finds a container by its port', async () => {
    const shared = useSharedRedis();
    const port = Number(new URL(shared.url).port);
    await mkdir(dir);
    await writeInstance(dir, { kind: 'docker', port, container: 'b24-events' });
    expect(await findRedisUrl({ redisUrl: undefined, dataDir })).toBe(`redis://127.0.0.1:${port}`);
    await shared.close();
  });
});

describeWithRedisBinary('findRedisUrl, beside npm start', () => {
  it('finds the server that runs on DATA_DIR', async () => {
    await mkdir(dir);
    const binary = (await findRedisBinary(process.env['PATH'] ?? '')) ?? '';
    const server = await startProcessServer({ binary, dir });
    try {
      expect(await findRedisUrl({ redisUrl: undefined, dataDir })).toBe(server.url);
    } finally {
      await server.stop();
    }
  });
});
