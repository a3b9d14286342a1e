import { existsSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as packageManagerModule from '../../src/cli/redis/package-manager.js';
import type * as processServerModule from '../../src/cli/redis/process-server.js';
import type * as provideRedisModule from '../../src/cli/redis/provide-redis.js';

/** What global-teardown.ts ends. Jest runs both in one process, and loads each as a program of its own. */
export interface SharedRedis {
  readonly url: string;
  readonly source: string;
  stop(): Promise<void>;
}

declare global {
  var sharedTestRedis: SharedRedis | undefined;
}

/**
 * Finds or starts the one Redis that the integration tests share, each test file with a prefix of its own: by testcontainers
 * where Docker answers, else a server from the PATH, else one that the package manager installs first. Its address is in
 * `TEST_REDIS_URL`. `TEST_REDIS=path` or `TEST_REDIS=docker` wants one of them. Tests that stop or freeze a Redis need a
 * server on the PATH besides; `TEST_REDIS_BINARY_MISSING=1` tells them that there is none.
 */
export default async function globalSetup({ rootDir }: { readonly rootDir: string }): Promise<void> {
  const built = await loadBuilt(rootDir);
  const binary = await findOrInstallBinary(built);
  if (binary === undefined) process.env.TEST_REDIS_BINARY_MISSING = '1';
  const wanted = process.env.TEST_REDIS;
  const container = wanted === 'path' ? undefined : await startContainer(wanted === 'docker');
  const redis = container ?? (binary === undefined ? undefined : await startFromPath(built, binary));
  if (!redis) throw new Error(built.NO_REDIS.replace(/, or set REDIS_URL.*$/, ''));
  globalThis.sharedTestRedis = redis;
  process.env.TEST_REDIS_URL = redis.url;
  say(`the Redis of the tests: ${redis.url} (${redis.source})`);
  stopWhenInterrupted(redis);
}

type Built = typeof provideRedisModule & typeof processServerModule & typeof packageManagerModule;

/** Jest loads this file without its resolver, which alone finds TypeScript behind a name in .js: so this takes what is built. */
async function loadBuilt(rootDir: string): Promise<Built> {
  const files = ['provide-redis', 'process-server', 'package-manager'].map((name) =>
    join(rootDir, 'dist/cli/redis', `${name}.js`),
  );
  if (!files.every((file) => existsSync(file))) throw new Error('nothing is built yet: run `npm run build` first');
  const modules = await Promise.all(files.map((file) => import(file) as Promise<object>));
  return Object.assign({}, ...modules) as Built;
}

async function findOrInstallBinary(built: Built): Promise<string | undefined> {
  const searchPath = process.env.PATH ?? '';
  const found = await built.findRedisBinary(searchPath);
  if (found !== undefined) return found;
  await built.installRedisPackage({ env: process.env, isRoot: process.getuid?.() === 0, say });
  return built.findRedisBinary(searchPath);
}

const DOCKER_ANSWERS_WITHIN_MS = 5000;
/** The image may have to be fetched first. */
const CONTAINER_STARTS_WITHIN_MS = 180_000;

/** undefined where Docker does not answer; an error where it was asked for by name. */
async function startContainer(isRequired: boolean): Promise<SharedRedis | undefined> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await import('testcontainers');
  try {
    await within(DOCKER_ANSWERS_WITHIN_MS, getContainerRuntimeClient());
  } catch (error) {
    if (isRequired) throw error;
    return undefined;
  }
  try {
    const starting = new GenericContainer('redis:8-alpine')
      .withExposedPorts(6379)
      .withCommand(['redis-server', '--appendonly', 'yes', '--maxmemory-policy', 'noeviction', '--save', ''])
      .withWaitStrategy(Wait.forLogMessage('Ready to accept connections'))
      .start();
    const container = await within(CONTAINER_STARTS_WITHIN_MS, starting);
    const url = `redis://${container.getHost()}:${container.getMappedPort(6379)}`;
    return { url, source: 'testcontainers, redis:8-alpine', stop: async () => void (await container.stop()) };
  } catch (error) {
    if (isRequired) throw error;
    say(`Docker answers, but runs no Redis: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

async function startFromPath(built: Built, binary: string): Promise<SharedRedis> {
  const dir = await realpath(await mkdtemp(join(tmpdir(), 'b24-test-redis-')));
  const server = await built.startProcessServer({ binary, dir });
  const stop = async (): Promise<void> => {
    await server.stop({ timeoutMs: 5000 });
    await rm(dir, { recursive: true, force: true });
  };
  return { url: server.url, source: server.source, stop };
}

/** Jest runs no teardown then. */
function stopWhenInterrupted(redis: SharedRedis): void {
  const exitCodes = { SIGINT: 130, SIGTERM: 143 } as const;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void redis.stop().finally(() => process.exit(exitCodes[signal])));
  }
}

async function within<Value>(limitMs: number, promise: Promise<Value>): Promise<Value> {
  const timer = new AbortController();
  const tooLate = sleep(limitMs, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`no answer within ${limitMs / 1000} s`);
  });
  try {
    return await Promise.race([promise, tooLate]);
  } finally {
    timer.abort();
    tooLate.catch(() => undefined);
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
