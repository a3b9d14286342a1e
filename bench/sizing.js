/**
 * `npm run sizing`: what an event costs, measured on this machine with real processes and a Redis of its own: bytes in Redis for each
 * state of a job, bytes of the journal, memory, and rates. docs/operations.md carries the table of one run.
 *
 * Nothing is compared here, and nothing fails by its figures.
 */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { findFreePort } from '../dist/cli/free-port.js';
import { postEvents } from './sizing/post-events.js';
import { startSizedProcess, startSizedRedis } from './sizing/sized-processes.js';

const MEMBER_ID = 'bac1cd5c8940947a75e0d71b1a84e348';
const TOKEN = '831c76b092f9f135d9b6b36c3a720757';
const KEPT_MAX = 10_000;

const { values } = parseArgs({ options: { events: { type: 'string', default: '20000' } } });
const events = Number(values.events);
if (!Number.isSafeInteger(events) || events < 1000 || events > 1_000_000)
  throw new Error('--events: expected a number from 1000 to 1000000');

const rows = [];
const dir = await mkdtemp(join(tmpdir(), 'b24-sizing-'));
const undo = [() => rm(dir, { recursive: true, force: true })];
try {
  await measure();
} finally {
  for (const step of undo.toReversed()) await step();
}
process.stdout.write(`${machine()}\n\n| what | figure |\n| --- | --- |\n`);
for (const [what, figure] of rows) process.stdout.write(`| ${what} | ${figure} |\n`);

async function measure() {
  const server = await startSizedRedis(join(dir, 'redis'), await findFreePort());
  undo.push(() => server.stop());
  const redis = new Redis(server.url);
  undo.push(() => redis.disconnect());
  const env = environment(server.url, await findFreePort());
  const ingress = await startSizedProcess('dist/api/main.js', env);
  undo.push(() => ingress.stop());
  await measureWaiting({ redis, ingress, env });
  const worker = await startSizedProcess('dist/worker/main.js', env);
  undo.push(() => worker.stop());
  await measureDone({ redis, worker });
  await measureFailed({ redis, env });
  await worker.stop();
  await measureIdle(env);
}

function environment(redisUrl, port) {
  return {
    REDIS_URL: redisUrl,
    DATA_DIR: join(dir, 'data'),
    API_HOST: '127.0.0.1',
    API_PORT: String(port),
    API_OPS_PORT: '0',
    WORKER_OPS_PORT: '0',
    APPLICATION_TOKENS: `${MEMBER_ID}=${TOKEN}`,
    DISK_FREE_BYTES_MIN: '0',
    LOG_LEVEL: 'fatal',
  };
}

/** Acknowledged while no worker runs, so that all of them wait. */
async function measureWaiting({ redis, ingress, env }) {
  const body = await sampleBody();
  const before = await usedBytes(redis);
  const { seconds } = await postEvents({ url: `http://127.0.0.1:${env.API_PORT}/events`, body, events });
  await until(async () => (await redis.llen('{b24}:deliveries:wait')) === events);
  const record = JSON.parse(await redis.hget(await anyJobKey(redis), 'data'));
  rows.push(
    ['body of the event that was sent', `${body.length} B`],
    ['its record in the journal', `${record.bytes} B`],
    ['waiting in Redis', perEvent((await usedBytes(redis)) - before, events)],
    ['append-only file', perEvent(await appendedBytes(redis), events)],
    ['acknowledged, one ingress, 64 connections', perSecond(events, seconds)],
    ['memory of the ingress after them', megabytes(await ingress.residentBytes())],
  );
}

/** Nothing but the built-in effect that writes into Redis, so this is what the worker itself can do. */
async function measureDone({ redis, worker }) {
  const startedMs = performance.now();
  await until(async () => (await redis.llen('{b24}:deliveries:wait')) === 0 && (await activeCount(redis)) === 0);
  const seconds = (performance.now() - startedMs) / 1000;
  rows.push(
    ['worked off, one worker, without forwarding or handlers', perSecond(events, seconds)],
    ['memory of the worker after them', megabytes(await worker.residentBytes())],
    ['remembered, to know a duplicate (DEDUP_WINDOW_SECONDS)', `${await keyBytes(redis, '{b24}:event:*')} B an event`],
    [`kept when done (KEEP_COMPLETED_SECONDS, at most ${KEPT_MAX})`, `${await jobBytes(redis, 'completed')} B a job`],
  );
}

async function measureFailed({ redis, env }) {
  const body = (await sampleBody()).replace('data%5BLINE%5D=107', 'data%5BLINE%5D=none');
  await postEvents({ url: `http://127.0.0.1:${env.API_PORT}/events`, body, events: 200 });
  await until(async () => (await redis.zcard('{b24}:deliveries:failed')) === 200);
  rows.push(['failed (KEEP_FAILED_SECONDS)', `${await jobBytes(redis, 'failed')} B a job`]);
}

async function measureIdle(env) {
  for (const [name, file] of Object.entries({ ingress: 'dist/api/main.js', worker: 'dist/worker/main.js' })) {
    const idle = await startSizedProcess(file, { ...env, API_PORT: '0' });
    await sleep(3000);
    rows.push([`memory of an idle ${name}`, megabytes(await idle.residentBytes())]);
    await idle.stop();
  }
}

async function sampleBody() {
  return (await readFile('test/fixtures/ONIMCONNECTORMESSAGEADD.form', 'utf8')).trim();
}

async function usedBytes(redis) {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
}

async function appendedBytes(redis) {
  return Number(/^aof_current_size:(\d+)/m.exec(await redis.info('persistence'))?.[1]);
}

function activeCount(redis) {
  return redis.llen('{b24}:deliveries:active');
}

async function anyJobKey(redis) {
  return `{b24}:deliveries:${await redis.lindex('{b24}:deliveries:wait', 0)}`;
}

/** The hash of one ended job and its place in the sorted set. */
async function jobBytes(redis, state) {
  const [id] = await redis.zrange(`{b24}:deliveries:${state}`, 0, 0);
  const set = Number(await redis.call('MEMORY', 'USAGE', `{b24}:deliveries:${state}`, 'SAMPLES', '0'));
  const count = await redis.zcard(`{b24}:deliveries:${state}`);
  return Number(await redis.call('MEMORY', 'USAGE', `{b24}:deliveries:${id}`)) + Math.round(set / count);
}

async function keyBytes(redis, pattern) {
  for await (const keys of redis.scanStream({ match: pattern, count: 100 }))
    if (keys.length > 0) return Number(await redis.call('MEMORY', 'USAGE', keys[0]));
  throw new Error(`no key is like ${pattern}`);
}

async function until(isTrue) {
  const endsAtMs = Date.now() + 600_000;
  while (!(await isTrue())) {
    if (Date.now() > endsAtMs) throw new Error('what is measured did not come within ten minutes');
    await sleep(20);
  }
}

function machine() {
  const [cpu] = cpus();
  const gibibytes = Math.round(totalmem() / 2 ** 30);
  return `${cpus().length} cores (${cpu?.model ?? 'unknown'}), ${gibibytes} GiB, Node ${process.versions.node}, ${events} events`;
}

function perEvent(bytes, count) {
  return `${Math.round(bytes / count)} B an event`;
}

function perSecond(count, seconds) {
  return `${Math.round(count / seconds)} a second`;
}

function megabytes(bytes) {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
