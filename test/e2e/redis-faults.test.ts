import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { withRedisAt } from '../support/redis-server.js';
import { Load, System, messageBody, type Posted } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

let system: System;

beforeEach(async () => {
  system = await System.start();
});
afterEach(() => system.close());

function medianMs(answers: readonly Posted[]): number {
  const durations = answers.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
  return durations[Math.floor(durations.length / 2)] ?? 0;
}

/** Every POST is answered with 200, in about the time of before, and processed after; nothing was restarted. */
async function expectNothingLost(fault: () => Promise<void>, heal: () => Promise<void>): Promise<void> {
  const load = new Load(system);
  await load.reaches(300);
  const before = load.answers.length;
  await fault();
  const since = load.answers.length;
  await load.more(1000);
  const during = load.answers.length;
  await heal();
  await load.more(100);
  await load.stop();
  expect(load.errors).toEqual([]);
  expect(load.answers.filter(({ status }) => status !== 200)).toEqual([]);
  await system.allForwarded(load.accepted);
  const ratio = medianMs(load.answers.slice(since, during)) / medianMs(load.answers.slice(0, before));
  // Not a figure of speed: an answer that waited for Redis would come a hundred times later.
  expect(ratio).toBeLessThan(10);
}

describe('under load', () => {
  it('nothing is lost while Redis is stopped and started again', async () => {
    await expectNothingLost(
      () => system.redis.stop(),
      () => system.redis.start(),
    );
  });

  it('nothing is lost while Redis is killed and started again', async () => {
    await expectNothingLost(
      () => system.redis.kill(),
      () => system.redis.start(),
    );
  });

  it('nothing is lost while Redis is frozen', async () => {
    await expectNothingLost(
      () => Promise.resolve(system.redis.freeze()),
      () => Promise.resolve(system.redis.thaw()),
    );
  });

  it('what was acked is sent again to a Redis that was started empty within a minute', async () => {
    // Without a worker all of it waits in the Redis that is lost.
    system.worker?.signal('SIGKILL');
    await system.worker?.ended();
    const load = new Load(system);
    await load.reaches(300);
    await load.stop();
    await waitUntil('Redis has confirmed all of it', async () => (await waitingInRedis()) >= 300);
    await system.redis.kill();
    await system.redis.start({ empty: true });
    await system.startWorker();
    await system.allForwarded(load.accepted);
  });
});

function waitingInRedis(): Promise<number> {
  return withRedisAt(system.redis.url, (redis) => redis.llen('{b24}:deliveries:wait'));
}

it('a worker that starts while Redis refuses it waits, and begins when it is let in', async () => {
  const { worker, redis } = system;
  worker?.signal('SIGTERM');
  await worker?.ended();
  await system.post(messageBody(1));
  await withRedisAt(redis.url, (connection) => connection.config('SET', 'requirepass', 'another password'));
  const starting = system.startWorker();
  await waitUntil('it says so', () => system.lastStarted?.logged('redis.refuses').length === 1);

  const withPassword = redis.url.replace('redis://', 'redis://:another%20password@');
  await withRedisAt(withPassword, (connection) => connection.config('SET', 'requirepass', ''));

  await starting;
  await system.allForwarded([1]);
});
