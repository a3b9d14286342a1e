import { mkdtemp, realpath, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { containerName, dockerAnswers } from '../../src/cli/redis/docker-server.js';
import { provideRedis } from '../../src/cli/redis/provide-redis.js';
import type { RedisServer } from '../../src/cli/redis/redis-server.js';
import { findOnPath, runCommand } from '../../src/cli/redis/run-command.js';

const docker = await findOnPath('docker', process.env.PATH ?? '');
const isThere = docker !== undefined && (await dockerAnswers(docker, process.env));

(isThere ? describe : describe.skip)('a Redis in Docker', () => {
  let dataDir: string;
  let container: string;

  beforeAll(async () => {
    dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-docker-')));
    container = containerName(join(dataDir, 'redis'));
    await symlink(docker ?? '', join(dataDir, 'docker'));
  });

  afterAll(async () => {
    await ask(['rm', '--force', container]);
    await ask(['volume', 'rm', container]);
    await rm(dataDir, { recursive: true, force: true });
  });

  /** Where Docker is all there is on the PATH. */
  function provide(path = dataDir): Promise<RedisServer> {
    const env = { ...process.env, PATH: path };
    return provideRedis({ lock: { dataDir }, env, isRoot: false, say: () => undefined });
  }

  test('is taken where there is none on the PATH, reused when left behind, and keeps its data in a volume', async () => {
    const first = await provide();
    const redis = new Redis(first.url);
    await redis.set('kept', 'yes');
    redis.disconnect();
    const reused = await provide();
    await reused.stop();
    await first.stop();

    const next = await provide();

    const reader = new Redis(next.url);
    const kept = await reader.get('kept');
    reader.disconnect();
    await next.stop();
    expect([first.isReused, reused.isReused, next.isReused]).toEqual([false, true, false]);
    expect(reused.port).toBe(first.port);
    expect(kept).toBe('yes');
  });

  test('is waited for, rather than replaced by an empty one, while Docker does not answer', async () => {
    await expect(provide('')).rejects.toThrow(`the queue of this DATA_DIR is in the Docker volume ${container}`);
  });
});

function ask(args: readonly string[]): Promise<unknown> {
  return runCommand(docker ?? '', args, { timeoutMs: 60_000 });
}
