import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { hostname } from 'node:os';
import { pino } from 'pino';
import type { AlertRule } from '../../src/shared/alerts/alert-rule.js';
import { Alerter, type AlerterDeps } from '../../src/shared/alerts/alerter.js';
import { createToldAlerts } from '../../src/shared/alerts/told-alerts.js';
import { createKeys } from '../../src/shared/keys.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectFailingFast, type Redis } from '../../src/shared/redis.js';
import { startReceiver, type Receiver } from '../support/receiver.js';
import { describeWithRedisBinary, startRedisServer } from '../support/redis-server.js';
import { silentLogger, useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

/** The alerter's clock is read a few times in each look, and goes fast enough for half a minute of rest to be over soon. */
const LOOK_EVERY_MS = 20;
const CLOCK_STEP_MS = 2500;

let shared: SharedRedisUse;
let receiver: Receiver;
let summary: string | undefined;
let alerters: Alerter[];
let connections: Redis[];
let lines: Record<string, unknown>[];

beforeAll(() => {
  shared = useSharedRedis();
});

afterAll(async () => {
  await shared.close();
});

beforeEach(async () => {
  receiver = await startReceiver();
  summary = 'the disk is full';
  alerters = [];
  connections = [];
  lines = [];
});

afterEach(async () => {
  for (const alerter of alerters) alerter.stop();
  for (const connection of connections) connection.disconnect();
  await receiver.close();
  await shared.redis.unlink(shared.keys.alert('redis-memory'));
});

const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });

/** A process that looks at one rule: whether `summary` is set, or what `check` says. */
async function watch({
  url = shared.url,
  check = (): string | undefined => summary,
  isTold = true,
  isRedisReached = true,
} = {}): Promise<void> {
  const redis = connectFailingFast(singleRedis(url), silentLogger);
  connections.push(redis);
  await waitUntil('it is connected', () => redis.status === 'ready');
  if (!isRedisReached) redis.disconnect();
  let clockMs = 0;
  const rule: AlertRule = { name: 'redis-memory', scope: 'system', forMs: 0, check };
  const deps: AlerterDeps = {
    rules: [rule],
    processName: 'worker',
    logger,
    receiver: isTold ? { url: receiver.url, secrets: [receiver.secret] } : undefined,
    told: createToldAlerts({ redis, keys: createKeys(shared.prefix), id: `process-${connections.length}` }),
    lookEveryMs: LOOK_EVERY_MS,
    retryFirstMs: 20,
    nowMs: () => (clockMs += CLOCK_STEP_MS),
  };
  alerters.push(Alerter.start(deps));
}

function notes(): string[] {
  return receiver.received.map(({ body }) => body.type);
}

async function told(count: number): Promise<void> {
  await waitUntil(`${count} notes came`, () => receiver.received.length >= count, { timeoutMs: 10_000 });
}

function logged(event: string): Record<string, unknown>[] {
  return lines.filter((line) => line.event === event);
}

describe('an alert', () => {
  it('is told as a signed note, and once more when it is over', async () => {
    await watch();
    await told(1);
    summary = undefined;
    await told(2);
    expect(receiver.unsigned).toEqual([]);
    expect(receiver.received.map(({ body }) => body)).toEqual([
      {
        type: 'alert.firing',
        timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        data: {
          alert: 'redis-memory',
          summary: 'the disk is full',
          since: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
          instance: `worker@${hostname()}`,
        },
      },
      {
        type: 'alert.resolved',
        timestamp: expect.any(String),
        data: expect.objectContaining({ alert: 'redis-memory', summary: 'over: Redis is nearly full' }),
      },
    ]);
    expect(receiver.received[0]?.id).not.toBe(receiver.received[1]?.id);
  });

  it('is logged where there is nobody to be told', async () => {
    await watch({ isTold: false });
    await waitUntil('it fires', () => logged('alert.firing').length === 1);
    summary = undefined;
    await waitUntil('it is over', () => logged('alert.resolved').length === 1);
    expect(logged('alert.firing')[0]).toMatchObject({ level: 50, alert: 'redis-memory', reason: 'the disk is full' });
    expect(logged('alert.resolved')[0]).toMatchObject({ level: 30, alert: 'redis-memory' });
    expect(receiver.received).toEqual([]);
  });

  it('is neither fired nor ended by a look that fails', async () => {
    let failure: Error | undefined;
    let looks = 0;
    const check = (): string | undefined => {
      looks += 1;
      if (failure) throw failure;
      return summary;
    };
    await watch({ check });
    await told(1);
    failure = new Error('nothing to be seen');
    summary = undefined;
    const before = looks;
    await waitUntil('it was looked at often', () => looks > before + 30);
    expect(notes()).toEqual(['alert.firing']);
    failure = undefined;
    await told(2);
    expect(notes()).toEqual(['alert.firing', 'alert.resolved']);
  });
});

describe('several processes that see one alert', () => {
  it('send one note, and one when it is over for the last of them', async () => {
    let isSeenBySecond = true;
    await watch();
    await watch({ check: () => (isSeenBySecond ? 'the second sees it' : undefined) });
    await waitUntil('both see it', () => logged('alert.firing').length === 2);
    await told(1);
    summary = undefined;
    await waitUntil('the first sees it no more', () => logged('alert.resolved').length === 1);
    expect(notes()).toEqual(['alert.firing']);
    isSeenBySecond = false;
    await told(2);
    await waitUntil('both see it no more', () => logged('alert.resolved').length === 2);
    expect(notes()).toEqual(['alert.firing', 'alert.resolved']);
  });

  it('leave it to another one to tell the end where the one that told is gone', async () => {
    await watch();
    await told(1);
    alerters[0]?.stop();
    // As if a minute had gone by.
    await waitUntil(
      'it is known who told',
      async () => (await shared.redis.exists(shared.keys.alert('redis-memory'))) === 1,
    );
    await shared.redis.hset(shared.keys.alert('redis-memory'), 'sees:process-1', 1);
    summary = undefined;
    await watch();
    await told(2);
    expect(notes()).toEqual(['alert.firing', 'alert.resolved']);
    expect(receiver.received[1]?.body.data.since).toBe(receiver.received[0]?.body.data.since);
  });

  it('leave it to another one to tell of it where the one that should have is gone', async () => {
    await shared.redis.hset(shared.keys.alert('redis-memory'), { teller: 'gone', until: Date.now() + 500, since: 1 });
    await watch();
    await waitUntil('it fires', () => logged('alert.firing').length === 1);
    expect(notes()).toEqual([]);
    await told(1);
  });
});

describe('a receiver', () => {
  it('that is down at first is told later, with the same id at every attempt', async () => {
    receiver.answer = (_request, count) => ({ status: count < 4 ? 500 : 204 });
    await watch();
    await told(4);
    expect(new Set(receiver.received.map(({ id }) => id)).size).toBe(1);
    expect(logged('alert.delayed')).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('status 500') }),
    ]);
  });

  it('that was down all the while is told how things are in the end, and nothing else', async () => {
    receiver.answer = () => ({ status: 500 });
    await watch();
    await told(1);
    summary = undefined;
    await waitUntil('it is over', () => notes().includes('alert.resolved'));
    receiver.clear();
    receiver.answer = () => ({ status: 204 });
    await told(1);
    expect(notes()).toEqual(['alert.resolved']);
  });

  it('that redirects is not followed', async () => {
    receiver.answer = () => ({ status: 307, headers: { location: `${receiver.url}/elsewhere` } });
    await watch();
    await waitUntil('it is said', () => logged('alert.delayed').length === 1);
    expect(logged('alert.delayed')[0]?.reason).toContain('status 307');
    expect(JSON.stringify(lines)).not.toContain(receiver.url);
  });
});

describeWithRedisBinary('without a Redis that takes the word on who tells', () => {
  it('each process tells of it, and of its end', async () => {
    await watch({ isRedisReached: false });
    await watch({ isRedisReached: false });
    await told(2);
    summary = undefined;
    await told(4);
    expect(notes()).toEqual(['alert.firing', 'alert.firing', 'alert.resolved', 'alert.resolved']);
  });

  it('one that told unasked tells of its end too, though Redis is back by then and knows of nothing', async () => {
    const redis = await startRedisServer();
    let look: 'blind' | 'sees' | 'well' = 'blind';
    const check = (): string | undefined => {
      if (look === 'blind') throw new Error('nothing to be seen');
      return look === 'sees' ? summary : undefined;
    };
    try {
      await watch({ url: redis.url, check });
      await redis.kill();
      look = 'sees';
      await told(1);
      look = 'blind';
      await redis.start();
      await waitUntil('it is connected', () => connections[0]?.status === 'ready');
      look = 'well';
      await told(2);
      expect(notes()).toEqual(['alert.firing', 'alert.resolved']);
    } finally {
      for (const connection of connections) connection.disconnect();
      await redis.remove();
    }
  });

  it('a full one takes it all the same', async () => {
    const redis = await startRedisServer({ maxmemory: '3mb' });
    try {
      const connection = connectFailingFast(singleRedis(redis.url), silentLogger);
      connections.push(connection);
      await waitUntil('it is connected', () => connection.status === 'ready');
      const fill = async (key: number): Promise<void> => {
        await connection.set(`large-${key}`, 'x'.repeat(100_000));
        await fill(key + 1);
      };
      await expect(fill(0)).rejects.toThrow('OOM');
      await watch({ url: redis.url });
      await watch({ url: redis.url });
      await waitUntil('both see it', () => logged('alert.firing').length === 2);
      await told(1);
      summary = undefined;
      await told(2);
      expect(notes()).toEqual(['alert.firing', 'alert.resolved']);
    } finally {
      for (const connection of connections) connection.disconnect();
      await redis.remove();
    }
  });
});
