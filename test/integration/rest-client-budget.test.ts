import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { callsAbove } from '../support/call-level.js';
import { createRestWorld, type RestProcess, type RestWorld } from '../support/rest-world.js';
import { useSharedRedis } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const shared = useSharedRedis();
let world: RestWorld;
let one: RestProcess;

beforeAll(async () => {
  world = await createRestWorld(shared);
  one = world.process();
});
afterAll(async () => {
  await world.close();
  await shared.close();
});
beforeEach(() => {
  world.portal.answer = () => ({ body: { result: 'done' } });
});

function error(status: number, code: string, more: object = {}) {
  world.portal.answer = () => ({ status, body: { error: code, ...more } });
}

describe('calls within the budget of a portal', () => {
  const limits = { callsPerSecond: 50, burst: 5 };

  it('puts a run off and lets it make all its calls when it comes back', async () => {
    const { memberId } = await world.install();
    const slow = world.process({ limits: { callsPerSecond: 0.1, burst: 4 } });
    for (let call = 0; call < 4; call += 1) await slow.calls(memberId, `run-${call}`).call('profile');
    const later = { code: 'REST_BUDGET', retryAfterMs: expect.any(Number) };
    await expect(slow.calls(memberId, 'late').call('profile')).rejects.toMatchObject(later);
    const other = await world.install();
    expect(await slow.calls(other.memberId).call('profile')).toBe('done');
  });

  it('is never exceeded by four processes, as the portal sees it, and nothing fails otherwise', async () => {
    const { memberId } = await world.install();
    const before = world.portal.requests.length;
    const processes = Array.from({ length: 4 }, () => world.process({ limits }));
    const runs = Array.from({ length: 60 }, (_, index) =>
      finish(processes[index % 4] ?? one, memberId, `run-${index}`),
    );
    await Promise.all(runs);
    const asked = new Map(processes.flatMap((process) => [...process.askedAtMs]));
    const calls = world.portal.requests.slice(before).map(({ atMs, body }) => ({
      atMs,
      askedAtMs: asked.get(String(body['run'])) ?? 0,
    }));
    expect(calls).toHaveLength(60);
    expect(callsAbove(calls, limits)).toBe(0);
  });

  it('is full when the portal says so, and the run comes back for all its calls', async () => {
    const { memberId } = await world.install();
    const calls = world.process({ limits: { callsPerSecond: 0.1, burst: 5 } }).calls(memberId, 'refused');
    await calls.call('profile');
    error(503, 'QUERY_LIMIT_EXCEEDED');
    const failure = { code: 'REST_BUDGET', detail: 'QUERY_LIMIT_EXCEEDED' };
    const refused = await calls.call('profile').catch((caught: { retryAfterMs: number }) => caught);
    expect(refused).toMatchObject(failure);
    // Its two calls at one in ten seconds.
    expect((refused as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(12_000);
    expect((refused as { retryAfterMs: number }).retryAfterMs).toBeLessThanOrEqual(20_000);
  });

  it('lets a method rest that has used up its time, or nearly so', async () => {
    const { memberId } = await world.install();
    error(429, 'OPERATION_TIME_LIMIT', { time: { finish: 100, operating: 480, operating_reset_at: 130 } });
    const calls = one.calls(memberId);
    const failure = { code: 'REST_BUDGET', detail: 'OPERATION_TIME_LIMIT', retryAfterMs: 30_000 };
    await expect(calls.call('crm.item.list')).rejects.toMatchObject(failure);
    const time = { finish: 100, operating: 451, operating_reset_at: 160 };
    world.portal.answer = () => ({ body: { result: 'done', time } });
    const before = world.portal.requests.length;
    await expect(calls.call('crm.item.list')).rejects.toMatchObject({ code: 'REST_BUDGET' });
    expect(await calls.call('crm.item.get')).toBe('done');
    await expect(calls.call('crm.item.get')).rejects.toMatchObject({ code: 'REST_BUDGET' });
    expect(world.portal.requests).toHaveLength(before + 1);
  });

  it('does not keep a run waiting in place that was aborted', async () => {
    const { memberId } = await world.install();
    const slow = world.process({ limits: { callsPerSecond: 0.1, burst: 1 } });
    const controller = new AbortController();
    const calls = slow.rest.open({ memberId, runKey: 'aborted', signal: controller.signal });
    await calls.call('profile');
    // More than the bucket holds: it is not put off.
    const waiting = calls.call('profile');
    await waitUntil('it has a place', async () => (await shared.redis.zcard(shared.keys.restPlaces(memberId))) === 1);
    const startedAtMs = Date.now();
    controller.abort();
    await expect(waiting).rejects.toThrow('aborted');
    expect(Date.now() - startedAtMs).toBeLessThan(5000);
  });
});

/** As the queue does it: comes back when it is told to, as often as it is told. */
async function finish(process: RestProcess, memberId: string, runKey: string): Promise<void> {
  for (;;) {
    const waitMs = await process
      .calls(memberId, runKey)
      .call('profile', { run: runKey })
      .then(
        () => undefined,
        (failed: { code: string; retryAfterMs: number }) => {
          if (failed.code !== 'REST_BUDGET') throw failed;
          return failed.retryAfterMs;
        },
      );
    if (waitMs === undefined) return;
    await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}
