import { afterEach, describe, expect, it } from '@jest/globals';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { once } from 'node:events';
import { join } from 'node:path';
import { startRedisServer } from '../support/redis-server.js';
import { startProcess, System, type SystemProcess } from '../support/system.js';

let system: System | undefined;

afterEach(async () => {
  await system?.close();
  system = undefined;
});

async function endOf(started: SystemProcess): Promise<{ code: number | string; problems: readonly unknown[] }> {
  const code = await started.ended();
  return { code, problems: started.logged('config.invalid').map(({ msg }) => msg) };
}

describe('a configuration that is wrong', () => {
  it.each(['dist/api/main.js', 'dist/worker/main.js'])('ends %s with 78 and tells all its problems', async (path) => {
    const wrong = { API_PORT: '80 80', FORWARD_URL: 'http://127.0.0.1/', SECRET_KEY: 'hunter2', EFFECT_ATTEMPTS: '0' };
    const started = startProcess(path, wrong);
    const { code, problems } = await endOf(started);
    expect(code).toBe(78);
    expect(problems).toEqual([
      expect.stringMatching(/^API_PORT: /),
      expect.stringMatching(/^SECRET_KEY: /),
      expect.stringMatching(/^EFFECT_ATTEMPTS: /),
      expect.stringMatching(/^FORWARD_SECRET: /),
    ]);
    expect(started.output()).not.toContain('hunter2');
  });

  it('ends a process with 78 that has another key than the one that seals the events in Redis', async () => {
    system = await System.start();
    const dataDir = await mkdtemp(join(system.dataDir, 'other-'));
    const env = { REDIS_URL: system.redis.url, DATA_DIR: dataDir, API_PORT: '0' };
    for (const path of ['dist/api/main.js', 'dist/worker/main.js']) {
      const { code, problems } = await endOf(startProcess(path, env));
      expect({ path, code }).toEqual({ path, code: 78 });
      expect(problems).toEqual([expect.stringMatching(/^SECRET_KEY: expected the key/)]);
    }
  });
});

describe('the key file', () => {
  it('is made once by processes that start together, and only its owner may read it', async () => {
    const redis = await startRedisServer();
    const dataDir = await mkdtemp(join(tmpdir(), 'b24-one-key-'));
    const env = { REDIS_URL: redis.url, DATA_DIR: dataDir, API_HOST: '127.0.0.1', API_PORT: '0' };
    const started = Array.from({ length: 4 }, () => startProcess('dist/api/main.js', env));
    await Promise.all(started.map((one) => Promise.race([once(one.child, 'message'), one.ended()])));
    const path = join(dataDir, 'secret.key');
    expect(started.map(({ child }) => child.exitCode)).toEqual([null, null, null, null]);
    expect(Buffer.from(await readFile(path, 'utf8'), 'base64')).toHaveLength(32);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    for (const one of started) one.signal('SIGKILL');
    await redis.remove();
    await rm(dataDir, { recursive: true, force: true });
  });
});
