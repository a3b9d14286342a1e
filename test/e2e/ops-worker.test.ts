import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { request } from 'undici';
import { findFreePort } from '../../src/cli/free-port.js';
import { createKeys } from '../../src/shared/keys.js';
import { openQueue } from '../../src/shared/queues.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectPatiently, type Redis } from '../../src/shared/redis.js';
import { APPLICATION_TOKEN, MEMBER_ID, deliveryOf } from '../support/deliveries.js';
import { metricIn } from '../support/metrics.js';
import { NodeProcess } from '../support/node-process.js';
import { describeWithRedisBinary, startRedisServer, type TestRedis } from '../support/redis-server.js';
import { silentLogger } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';
import { workerSealer } from '../support/worker-bench.js';

const PREFIX = '{b24}';
let server: TestRedis;
let redis: Redis;
let opsPort: number;
let running: NodeProcess[];

beforeEach(async () => {
  server = await startRedisServer();
  redis = connectPatiently(singleRedis(server.url), silentLogger);
  opsPort = await findFreePort();
  running = [];
});
afterEach(async () => {
  for (const process of running) await process.kill();
  redis.disconnect();
  await server.remove();
});

function environmentOf(changes: Readonly<Record<string, string>>): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    REDIS_URL: server.url,
    QUEUE_PREFIX: PREFIX,
    DATA_DIR: server.dir,
    // That with which the deliveries of this test are sealed.
    SECRET_KEY: Buffer.alloc(32, 5).toString('base64'),
    APPLICATION_TOKENS: `${MEMBER_ID}=${APPLICATION_TOKEN}`,
    WORKER_OPS_PORT: String(opsPort),
    ...changes,
  };
}

/** The process as it is built. */
async function startWorker(): Promise<NodeProcess> {
  return started(new NodeProcess({ args: ['dist/worker/main.js'], env: environmentOf({}) }));
}

/** The same with other times, and with an effect that never ends. */
async function startKnobbedWorker(timing: Readonly<Record<string, number>>): Promise<NodeProcess> {
  const code = `
    const { runProcess } = await import('${process.cwd()}/dist/shared/process-lifecycle.js');
    const { startWorker } = await import('${process.cwd()}/dist/worker/start-worker.js');
    const hanging = { name: 'hanging', wants: () => true, run: () => new Promise(() => undefined) };
    const knobs = { timing: ${JSON.stringify(timing)}, effects: [hanging] };
    await runProcess({ name: 'worker', start: (context) => startWorker(context, knobs), opsPort: 'workerOpsPort' });`;
  const env = environmentOf({ DELIVERY_CONCURRENCY: '1', EFFECT_TIMEOUT_MS: '200' });
  return started(new NodeProcess({ args: ['--input-type=module', '--eval', code], env }));
}

async function started(worker: NodeProcess): Promise<NodeProcess> {
  running.push(worker);
  await worker.line(/"worker\.started"/);
  return worker;
}

async function get(path: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await request(`http://127.0.0.1:${opsPort}${path}`);
  return { status: response.statusCode, text: await response.body.text() };
}

async function statusIs(status: number, timeoutMs = 30_000): Promise<void> {
  await waitUntil(`/readyz answers ${status}`, async () => (await get('/readyz')).status === status, { timeoutMs });
}

async function deliver(): Promise<void> {
  const delivery = deliveryOf(workerSealer, 'ONIMCONNECTORMESSAGEADD');
  await openQueue('deliveries', redis, PREFIX).add(delivery.name, delivery, { jobId: delivery.id });
}

async function probeKeys(): Promise<string[]> {
  return redis.keys(`${PREFIX}:probe-*`);
}

describeWithRedisBinary('the process of a worker', () => {
  it('tells of its work, and is not ready within 30 s from when Redis is frozen until it moves again', async () => {
    const worker = await startWorker();
    await statusIs(200);
    await deliver();
    await waitUntil('the delivery is counted', async () => {
      const labels = { event: 'ONIMCONNECTORMESSAGEADD', outcome: 'done' };
      return metricIn((await get('/metrics')).text, 'b24_deliveries_total', labels) === 1;
    });
    server.freeze();
    await statusIs(503, 30_000);
    expect((await get('/readyz')).text).toMatch(/Redis has not answered for \d+ s/);
    expect((await get('/healthz')).status).toBe(200);
    server.thaw();
    await statusIs(200, 30_000);
    worker.child.kill('SIGTERM');
    expect(await worker.exitCode()).toBe(0);
    expect(await probeKeys()).toEqual([]);
    expect(await redis.zcard(createKeys(PREFIX).workers)).toBe(0);
  });

  it('whose slots are taken by what never ends is not ready, says so, and ends with 1', async () => {
    const worker = await startKnobbedWorker({ lookEveryMs: 100, stalledMs: 500, wedgedMs: 3000 });
    await statusIs(200);
    await deliver();
    await statusIs(503);
    expect((await get('/readyz')).text).toMatch(/all slots of the queue deliveries are taken/);
    expect(await worker.exitCode()).toBe(1);
    expect(worker.output()).toMatch(/"event":"process\.wedged".*all slots of the queue deliveries/);
  });

  it('that was killed leaves a probe queue, which another one removes', async () => {
    const killed = await startKnobbedWorker({});
    await statusIs(200);
    await killed.kill('SIGKILL');
    const left = await probeKeys();
    expect(left).not.toEqual([]);
    await startKnobbedWorker({ sweepEveryMs: 100, goneMs: 2000, lookEveryMs: 100 });
    const isGone = async (): Promise<boolean> => {
      const now = new Set(await probeKeys());
      return !left.some((key) => now.has(key));
    };
    await waitUntil('what it left is gone', isGone);
    expect(await redis.zcard(createKeys(PREFIX).workers)).toBe(1);
  });
});
