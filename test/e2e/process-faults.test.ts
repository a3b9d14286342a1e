import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { withRedisAt } from '../support/redis-server.js';
import { Load, messageBody, System } from '../support/system.js';
import { waitUntil } from '../support/wait-until.js';

let system: System;
const EFFECT_TIMEOUT_MS = 5000;

beforeEach(async () => {
  system = await System.start({ env: { EFFECT_TIMEOUT_MS: String(EFFECT_TIMEOUT_MS) } });
});
afterEach(() => system.close());

describe('an ingress that is killed under load', () => {
  it('has every event that it acked processed after its restart', async () => {
    const load = new Load(system);
    await load.reaches(300);
    system.api?.signal('SIGKILL');
    await system.api?.ended();
    await system.startApi();
    await load.more(100);
    await load.stop();
    await system.allForwarded(load.accepted);
  });

  it('has every event that it acked processed, also when Redis was down all the while', async () => {
    await system.redis.stop();
    const load = new Load(system);
    await load.reaches(300);
    system.api?.signal('SIGKILL');
    await system.api?.ended();
    await load.stop();
    await system.startApi();
    await system.redis.start();
    await system.allForwarded(load.accepted);
  });
});

describe('a worker that is killed in the middle of effects', () => {
  it('has every event processed by another; what is repeated carries the same webhook-id', async () => {
    let answersHeld = true;
    system.receiver.answer = () => (answersHeld ? 'hang' : { status: 204 });
    const ids = Array.from({ length: 20 }, (_, i) => 1000 + i);
    await Promise.all(ids.map((id) => system.post(messageBody(id))));
    await system.allForwarded(ids);
    const idsBefore = new Set(system.receiver.received.map(({ id }) => id));
    system.worker?.signal('SIGKILL');
    await system.worker?.ended();
    answersHeld = false;
    const repeatedFrom = system.receiver.received.length;
    await system.startWorker();
    const secondRuns = () => system.receiver.received.slice(repeatedFrom);
    await waitUntil('all are done', () => new Set(secondRuns().map(({ id }) => id)).size === ids.length, {
      timeoutMs: 60_000,
    });
    for (const { id } of secondRuns()) expect(idsBefore).toContain(id);
  });
});

describe('SIGTERM under load', () => {
  it('has the requests in flight answered, ends with 0, and loses nothing', async () => {
    const load = new Load(system);
    await load.reaches(300);
    system.api?.signal('SIGTERM');
    expect(await system.api?.ended()).toBe(0);
    await load.stop();
    // A connection that is refused was never accepted; one that was accepted is answered.
    expect(load.errors.filter((error) => !isRefused(error))).toEqual([]);
    await system.startApi();
    await system.allForwarded(load.accepted);
  });

  it('lets the running effects of a worker end, leaves nothing active, and ends with 0 in time', async () => {
    system.receiver.answer = async () => {
      await new Promise((resolve) => setTimeout(resolve, 100));
      return { status: 204 };
    };
    const load = new Load(system);
    await load.reaches(500);
    const startedAtMs = Date.now();
    system.worker?.signal('SIGTERM');
    expect(await system.worker?.ended()).toBe(0);
    expect(Date.now() - startedAtMs).toBeLessThan(EFFECT_TIMEOUT_MS + 5000);
    await load.stop();
    expect(await activeJobs()).toBe(0);
    await system.startWorker();
    await system.allForwarded(load.accepted);
    expect(repeated()).toEqual([]);
  });

  it('ends a worker in time whose effects hang, and hands them on', async () => {
    system.receiver.answer = () => 'hang';
    await Promise.all([1, 2, 3].map((id) => system.post(messageBody(id))));
    await system.allForwarded([1, 2, 3]);
    const startedAtMs = Date.now();
    system.worker?.signal('SIGTERM');
    expect(await system.worker?.ended()).toBe(0);
    expect(Date.now() - startedAtMs).toBeLessThan(EFFECT_TIMEOUT_MS + 5000);
    expect(await activeJobs()).toBe(0);
  });

  it('ends every process with 0 in time while Redis is down', async () => {
    await system.redis.kill();
    await system.post(messageBody(1));
    const startedAtMs = Date.now();
    system.api?.signal('SIGTERM');
    system.worker?.signal('SIGTERM');
    expect(await Promise.all([system.api?.ended(), system.worker?.ended()])).toEqual([0, 0]);
    expect(Date.now() - startedAtMs).toBeLessThan(EFFECT_TIMEOUT_MS + 5000);
    await system.redis.start();
    await system.startApi();
    await system.startWorker();
    await system.allForwarded([1]);
  });
});

function isRefused(error: unknown): boolean {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'ECONNREFUSED';
}

function activeJobs(): Promise<number> {
  return withRedisAt(system.redis.url, async (redis) => {
    return (await redis.llen('{b24}:deliveries:active')) + (await redis.llen('{b24}:effects:active'));
  });
}

/** Events that came twice. */
function repeated(): string[] {
  const seen = new Set<string>();
  return system.receiver.received.map(({ id }) => id).filter((id) => (seen.has(id) ? true : !seen.add(id)));
}
