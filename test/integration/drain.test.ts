import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { Drain, type DrainDeps } from '../../src/api/drain.js';
import { Journals } from '../../src/api/journals.js';
import { createLogger, type Logger } from '../../src/shared/logger.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { withoutTracing } from '../../src/shared/tracing/tracing.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey, type SecretKeys } from '../../src/shared/secret-keys.js';
import { deliveryOf } from '../support/deliveries.js';
import { JournalProcess } from '../support/journal-process.js';
import { describeWithRedisBinary, startRedisServer, withRedisAt, type TestRedis } from '../support/redis-server.js';
import { waitUntil } from '../support/wait-until.js';

const PREFIX = '{drain}';
const secretKeys: SecretKeys = { current: toSecretKey(randomBytes(32)), previous: [] };
const sample = deliveryOf(createSealer(secretKeys), 'ONIMCONNECTORMESSAGEADD');

let dataDir: string;
let server: TestRedis;
let journals: Journals;
let drain: Drain | undefined;
let events: string[];
let logger: Logger;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'b24-test-drain-'));
  events = [];
  const write = (line: string): void => void events.push((JSON.parse(line) as { event: string }).event);
  logger = createLogger('info', 'test', { write });
  journals = await openJournals();
});

afterEach(async () => {
  await drain?.close();
  drain = undefined;
  await journals.close();
  await server.remove();
  await rm(dataDir, { recursive: true, force: true });
});

const openJournals = (): Promise<Journals> =>
  Journals.open({ dataDir, diskFreeBytesMin: 0, journalBytesMax: 1e12, logger });

async function startDrain(options: Partial<DrainDeps> = {}): Promise<void> {
  const common = { journals, queuePrefix: PREFIX, secretKeys, logger, tracing: withoutTracing };
  drain = await Drain.start({ ...common, redis: singleRedis(server.url), ...options });
}

/** Journals that many deliveries, and answers their ids in order. */
async function journal(count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, () => randomUUID());
  await Promise.all(ids.map((id) => journals.append(JSON.stringify({ ...sample, id }))));
  return ids;
}

/** BullMQ's list of what waits, the oldest first. */
async function waitingIds(): Promise<string[]> {
  return withRedis(async (redis) => (await redis.lrange(`${PREFIX}:deliveries:wait`, 0, -1)).toReversed());
}

const withRedis = <Value>(use: (redis: Redis) => Promise<Value>): Promise<Value> => withRedisAt(server.url, use);

/** How often the mark among the data was read, which nobody else does. */
async function looks(): Promise<number> {
  const stats = await withRedis((redis) => redis.info('commandstats'));
  return Number(/cmdstat_get:calls=(\d+)/.exec(stats)?.[1]);
}

async function allInQueue(ids: readonly string[]): Promise<void> {
  await waitUntil('all deliveries are in the queue, in order, once', async () =>
    isDeepStrictEqual(await waitingIds().catch(() => []), ids),
  );
}

async function allConfirmed(): Promise<void> {
  await waitUntil('everything is confirmed', () => drain?.waiting === 0);
}

describeWithRedisBinary('the drain', () => {
  beforeEach(async () => {
    server = await startRedisServer();
  });

  it('moves every record, once, in the order in which they were journalled', async () => {
    const before = await journal(1000);
    await startDrain();
    const after = await journal(1000);
    await allConfirmed();
    expect(await waitingIds()).toEqual([...before, ...after]);
  });

  it('starts while Redis is down, and moves what waited when it is up, with nothing restarted', async () => {
    await server.stop();
    await startDrain();
    const ids = await journal(300);
    await waitUntil('it says so', () => events.includes('drain.failing'));
    await server.start();
    await allInQueue(ids);
    await waitUntil('it says that it is over', () => events.includes('drain.healed'));
    expect(events.filter((event) => event === 'drain.failing')).toHaveLength(1);
  });

  it('goes on after Redis was killed and started again with its file', async () => {
    await startDrain();
    const first = await journal(500);
    await allInQueue(first);
    await server.kill();
    const second = await journal(500);
    await server.start();
    await waitUntil('all are there', async () => {
      const waiting = new Set(await waitingIds().catch((): string[] => []));
      return [...first, ...second].every((id) => waiting.has(id));
    });
    expect(await waitingIds()).toHaveLength(1000);
  });

  it('goes on after Redis hung, and what it sent into the silence is there once', async () => {
    await startDrain();
    await allInQueue(await journal(10));
    const before = await waitingIds();
    server.freeze();
    const ids = await journal(500);
    await waitUntil('it says that Redis fails', () => events.includes('drain.failing'));
    server.thaw();
    await allInQueue([...before, ...ids]);
  });

  it('sends again what was confirmed within the hold when Redis comes back empty', async () => {
    await startDrain();
    const ids = await journal(500);
    await allInQueue(ids);
    await allConfirmed();
    await server.kill();
    await server.start({ empty: true });
    await allInQueue(ids);
    expect(events).toContain('redis.changed');
  });

  it('sends again what was confirmed within the hold after FLUSHALL', async () => {
    await startDrain();
    const ids = await journal(500);
    await allInQueue(ids);
    await allConfirmed();
    await withRedis((redis) => redis.flushall());
    await allInQueue(ids);
    expect(events).toContain('redis.changed');
  });

  it('deletes a confirmed record only after the hold, and not while Redis is away', async () => {
    await startDrain({ holdMs: 100 });
    await allInQueue(await journal(50));
    await allConfirmed();
    const [source] = journals.sources;
    await waitUntil('they are deleted', async () => (await source?.read(0))?.length === 0, { timeoutMs: 15_000 });

    const ids = await journal(50);
    await allConfirmed();
    await server.kill();
    await waitUntil('it says that Redis fails', () => events.includes('drain.failing'));
    const held = await source?.read(0);
    expect(held?.map((record) => (JSON.parse(record.text) as { id: string }).id)).toEqual(ids);
  });

  it('drains what a process left that was killed before its own records, and removes that journal after the hold', async () => {
    await journals.close();
    const left = await leaveBehind();
    journals = await openJournals();
    const own = await journal(20);
    await startDrain({ holdMs: 100 });
    await allInQueue([...left, ...own]);
    await waitUntil('the journal is removed', () => journals.sources.length === 1, { timeoutMs: 15_000 });
  });

  it('does not send again what an earlier process had confirmed to the same Redis', async () => {
    await startDrain();
    await allInQueue(await journal(50));
    await drain?.close();
    await journals.close();
    await withRedis(async (redis) => redis.del(await redis.keys(`${PREFIX}:deliveries:*`)));

    journals = await openJournals();
    await startDrain();
    const next = await journal(1);
    await allConfirmed();
    expect(await waitingIds()).toEqual(next);
  });

  it('sends everything of an earlier process again to a Redis that is another one', async () => {
    await startDrain();
    const ids = await journal(50);
    await allInQueue(ids);
    await drain?.close();
    await journals.close();
    await server.kill();
    await server.start({ empty: true });

    journals = await openJournals();
    await startDrain();
    await allConfirmed();
    expect(await waitingIds()).toEqual(ids);
  });

  it('refuses to start where the events in Redis are sealed with another key', async () => {
    await startDrain();
    await drain?.close();
    const others = { secretKeys: { current: toSecretKey(randomBytes(32)), previous: [] } };
    await expect(startDrain(others)).rejects.toThrow('SECRET_KEY');
  });

  it('keeps events in the journal where another key is in use when Redis comes up, until it has that key', async () => {
    await withRedis((redis) => redis.set(`${PREFIX}:secret-key-id`, 'of-another-key'));
    await server.stop();
    await startDrain();
    const ids = await journal(10);
    await server.start();
    await waitUntil('it says so', () => events.includes('drain.failing'));
    expect(await waitingIds()).toEqual([]);
    await withRedis((redis) => redis.del(`${PREFIX}:secret-key-id`));
    await allInQueue(ids);
  });

  it('looks at a Redis that takes no more writes without a write', async () => {
    await startDrain();
    await allInQueue(await journal(10));
    await withRedis((redis) => redis.config('SET', 'maxmemory', '1'));
    const before = await looks();
    await waitUntil('it has looked twice', async () => (await looks()) >= before + 2);
    expect(events).not.toContain('drain.failing');
  });

  it('ends at once while Redis is down, and leaves the records in the journal', async () => {
    await server.kill();
    await startDrain();
    await journal(10);
    const startedAtMs = Date.now();
    await drain?.close();
    expect(Date.now() - startedAtMs).toBeLessThan(5000);
    expect(await journals.sources[0]?.read(0)).toHaveLength(10);
  });
});

/** Records in the journal of another process, which is killed then; answers their ids. */
async function leaveBehind(): Promise<string[]> {
  const other = await JournalProcess.start(dataDir);
  const deliveries = Array.from({ length: 20 }, (_, index) => JSON.stringify({ ...sample, id: `left-${index}` }));
  for (const text of deliveries) await other.appendText(text);
  await other.kill();
  return deliveries.map((_, index) => `left-${index}`);
}

describeWithRedisBinary('the drain, where Redis has little memory', () => {
  beforeEach(async () => {
    server = await startRedisServer({ maxmemory: '12mb' });
  });

  it('stops before it is full, so that it stays writable, and goes on by itself when the queue is worked off', async () => {
    await startDrain();
    const ids = await journal(6000);
    await waitUntil('it stops', () => events.includes('drain.paused'));
    expect(drain?.waiting).toBeGreaterThan(0);
    for (let look = 0; look < 20; look += 1) {
      expect(await withRedis((redis) => redis.set('writable', look))).toBe('OK');
      await sleep(50);
    }
    expect(events).not.toContain('drain.failing');

    const moved = new Set<string>();
    await waitUntil('all were moved, while a worker takes them', async () => {
      for (const id of await takeAll()) moved.add(id);
      return moved.size === ids.length;
    });
    expect(events.filter((event) => event === 'drain.paused')).toHaveLength(1);
  });

  it('sends again, in order, what a full Redis refused', async () => {
    await startDrain();
    await allInQueue(await journal(1));
    const [first = ''] = await waitingIds();
    await withRedis((redis) => redis.config('SET', 'maxmemory', '1mb'));
    const ids = await journal(100); // sent before the gate looks again, and refused
    await waitUntil('it waits', () => events.includes('drain.failing') || events.includes('drain.paused'));
    await withRedis((redis) => redis.config('SET', 'maxmemory', '100mb'));
    await allInQueue([first, ...ids]);
  });
});

/** Takes what waits out of Redis, as workers do. */
const takeAll = (): Promise<string[]> =>
  withRedis(async (redis) => {
    const ids = (await redis.lpop(`${PREFIX}:deliveries:wait`, 10_000)) ?? [];
    if (ids.length > 0) await redis.del(ids.map((id) => `${PREFIX}:deliveries:${id}`));
    return ids;
  });
