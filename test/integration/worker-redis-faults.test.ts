import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { loadConfig } from '../../src/shared/config.js';
import { createOps, type ProcessOps } from '../../src/shared/ops/ops.js';
import type { Running } from '../../src/shared/process-lifecycle.js';
import { openQueue } from '../../src/shared/queues.js';
import { startWorker } from '../../src/worker/start-worker.js';
import { metricIn } from '../support/metrics.js';
import { describeWithRedisBinary, startRedisServer, withRedisAt, type TestRedis } from '../support/redis-server.js';
import { silentLogger } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';
import { withoutTracing } from '../../src/shared/tracing/tracing.js';

/** Shorter than usual; a consumer that stood still for so long would end its process. */
const TIMING = { lookEveryMs: 100, lookSilentMs: 500, probeEveryMs: 200, probeSilentMs: 4000, wedgedMs: 2500 };
const WITHIN = { timeoutMs: 20_000 };

let redis: TestRedis;
let dataDir: string;
let worker: Running;
let ops: ProcessOps;
let ends: unknown[];

beforeEach(async () => {
  redis = await startRedisServer();
  dataDir = await mkdtemp(join(tmpdir(), 'b24-worker-'));
  ops = createOps();
  ends = [];
  const config = loadConfig({ REDIS_URL: redis.url, DATA_DIR: dataDir, EFFECT_TIMEOUT_MS: '100' });
  const fail = (error: unknown): void => void ends.push(error);
  worker = await startWorker({ config, logger: silentLogger, ops, tracing: withoutTracing, fail }, { timing: TIMING });
  await waitUntil('it is ready', isReady, WITHIN);
});
afterEach(async () => {
  await worker.stop();
  await redis.remove();
  await rm(dataDir, { recursive: true, force: true });
});

async function problems(): Promise<readonly string[]> {
  return (await ops.readiness())?.problems ?? ['starting'];
}

async function isReady(): Promise<boolean> {
  return (await problems()).length === 0;
}

function configure(name: string, value: string): Promise<unknown> {
  return withRedisAt(redis.url, (connection) => connection.config('SET', name, value));
}

/** A job that nobody gets, though it waits; the queue does not count as paused. */
async function letJobWait(): Promise<void> {
  await withDeliveries(async (queue) => {
    await queue.setGlobalConcurrency(0);
    await queue.add('waits', {}, { jobId: 'waits' });
  });
}

function letJobGo(): Promise<unknown> {
  return withDeliveries((queue) => queue.removeGlobalConcurrency());
}

async function withDeliveries(use: (queue: ReturnType<typeof openQueue<object>>) => Promise<unknown>): Promise<void> {
  await withRedisAt(redis.url, (connection) => use(openQueue<object>('deliveries', connection, '{b24}')));
}

/** Not ready while it lasts, for that reason; ready again after it; and never a reason to end the process, whatever waits meanwhile. */
async function expectSeen(fault: () => unknown, heal: () => unknown, reason: RegExp): Promise<void> {
  await letJobWait();
  await fault();
  await waitUntil(
    'it says why it is not ready',
    async () => (await problems()).some((text) => reason.test(text)),
    WITHIN,
  );
  const seenAtMs = Date.now();
  await waitUntil('a wedged one would have been ended', () => Date.now() - seenAtMs > TIMING.wedgedMs + 500);
  expect(await isReady()).toBe(false);
  expect(metricIn(await ops.metrics(), 'b24_redis_reachable')).toBe(0);
  await heal();
  await letJobGo();
  await waitUntil('it is ready again', isReady, WITHIN);
  expect(ends).toEqual([]);
}

describeWithRedisBinary('a worker is not ready', () => {
  it('while Redis is frozen', () =>
    expectSeen(
      () => redis.freeze(),
      () => redis.thaw(),
      /^Redis has not answered for \d+ s: /,
    ));

  it('while Redis is stopped', () =>
    expectSeen(
      () => redis.stop(),
      () => redis.start(),
      /^Redis has not answered for \d+ s: /,
    ));

  it('while Redis is full, of which its metrics tell', async () => {
    await expectSeen(
      () => configure('maxmemory', '1'),
      () => configure('maxmemory', '0'),
      /^Redis takes no writes: OOM /,
    );
    await configure('maxmemory', '123456789');
    await waitUntil('the bound is told', async () => {
      return metricIn(await ops.metrics(), 'b24_redis_memory_max_bytes') === 123_456_789;
    });
  });

  it('while Redis is a replica, and so read-only', () =>
    expectSeen(
      () => withRedisAt(redis.url, (connection) => connection.replicaof('127.0.0.1', 1)),
      () => withRedisAt(redis.url, (connection) => connection.replicaof('NO', 'ONE')),
      /^Redis takes no writes: |^Redis has not answered/,
    ));

  it('while Redis waits for a replica that it was told to have', () =>
    expectSeen(
      () => configure('min-replicas-to-write', '1'),
      () => configure('min-replicas-to-write', '0'),
      /^Redis takes no writes: NOREPLICAS/,
    ));
});
