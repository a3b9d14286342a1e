import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { liveWorkers } from '../../src/shared/live-workers.js';
import type { Readiness } from '../../src/shared/ops/ops.js';
import { WedgedError } from '../../src/shared/ops/wedged-error.js';
import { openQueue } from '../../src/shared/queues.js';
import { probeQueueName } from '../../src/worker/watch/probe.js';
import type { Effect } from '../../src/worker/effects/effect.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench } from '../support/worker-bench.js';

/** A fiftieth of the usual. */
const TIMING = {
  lookEveryMs: 50,
  lookSilentMs: 2000,
  probeEveryMs: 100,
  probeSilentMs: 2000,
  stalledMs: 400,
  wedgedMs: 1200,
};
/** A worker gives a sign of life at each look and for each probe: so many take longer than it would need to be found wedged. */
const SIGNS_MIN = 1.5 * TIMING.wedgedMs * (1 / TIMING.lookEveryMs + 1 / TIMING.probeEveryMs);
let bench: WorkerBench;

beforeEach(async () => {
  bench = await WorkerBench.open();
});
afterEach(() => bench.close());

async function readiness(): Promise<Readiness> {
  return (await bench.ops.readiness()) ?? { problems: ['starting'], warnings: [], facts: {} };
}

async function isReady(): Promise<boolean> {
  return (await readiness()).problems.length === 0;
}

function keysOfProbes(): Promise<string[]> {
  return bench.shared.redis.keys(`${bench.shared.prefix}:probe-*`);
}

describe('a worker', () => {
  it('is ready soon after its start, and no longer when it has stopped', async () => {
    await bench.start({}, { timing: TIMING });
    await waitUntil('it is ready', isReady);
    expect((await readiness()).facts).toMatchObject({ deliveriesSlots: 200, effectsSlots: 100 });
    await bench.stop();
    await waitUntil('it is not ready', async () => !(await isReady()));
  });

  it('stays ready while an operator pauses a queue, and warns of it', async () => {
    await bench.start({}, { timing: TIMING });
    await bench.deliveries.pause();
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await waitUntil('it warns', async () => (await readiness()).warnings.length > 0);
    const signs = new Set<number | undefined>();
    await waitUntil('it has looked so often that a wedged one would have been ended', async () => {
      signs.add((await liveWorkers(bench.shared))[0]?.seenAtMs);
      return signs.size > SIGNS_MIN;
    });
    expect(await readiness()).toMatchObject({
      problems: [],
      warnings: ['the queue deliveries is paused, and 1 jobs wait in it'],
    });
    expect(bench.ends).toEqual([]);
  });

  it('that takes no jobs although some wait is not ready, and is ended', async () => {
    await bench.start({}, { timing: TIMING });
    await waitUntil('it is ready', isReady);
    // BullMQ hands out no job of this queue then, and the queue does not count as paused.
    await bench.deliveries.setGlobalConcurrency(0);
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await waitUntil('it is not ready', async () => !(await isReady()));
    expect((await readiness()).problems).toEqual([
      expect.stringMatching(/^jobs wait in the queue deliveries, and for/),
    ]);
    expect(bench.ends).toEqual([]);
    await waitUntil('it is ended', () => bench.ends.length > 0);
    expect(bench.ends[0]).toBeInstanceOf(WedgedError);
    await bench.deliveries.removeGlobalConcurrency();
    await waitUntil('it is ready', isReady);
    expect(bench.ends).toHaveLength(1);
  });

  it('whose slots are all taken by an effect that does not end is not ready, and is ended', async () => {
    let release = (): void => undefined;
    const hanging = new Promise<void>((resolve) => {
      release = resolve;
    });
    const effect: Effect = { name: 'hanging', wants: () => true, run: () => hanging };
    const env = { DELIVERY_CONCURRENCY: '1', EFFECT_TIMEOUT_MS: '300' };
    await bench.start(env, { timing: TIMING, effects: [effect] });
    await waitUntil('it is ready', isReady);
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await waitUntil('it is not ready', async () => !(await isReady()));
    expect((await readiness()).problems).toEqual([expect.stringMatching(/^all slots of the queue deliveries are/)]);
    await waitUntil('it is ended', () => bench.ends.length > 0);
    expect(bench.ends[0]).toBeInstanceOf(WedgedError);
    release();
    await waitUntil('it is ready', isReady);
  });
});

describe('the probe of a worker', () => {
  it('is known with its worker while it lives, and leaves nothing after a stop', async () => {
    const { redis, keys } = bench.shared;
    await bench.start({}, { timing: TIMING });
    await waitUntil('it is ready', isReady);
    const [live, ...others] = await liveWorkers({ redis, keys });
    expect(others).toEqual([]);
    expect(live).toMatchObject({ pid: process.pid });
    expect(Math.abs((live?.seenAtMs ?? 0) - Date.now())).toBeLessThan(5000);
    expect(await keysOfProbes()).not.toEqual([]);
    await bench.stop();
    expect(await keysOfProbes()).toEqual([]);
    expect(await liveWorkers({ redis, keys })).toEqual([]);
  });

  it('keeps few entries, however long it goes on', async () => {
    await bench.start({}, { timing: { ...TIMING, probeEveryMs: 5 } });
    await waitUntil('it is ready', isReady);
    const [live] = await liveWorkers(bench.shared);
    const stream = `${bench.shared.prefix}:${probeQueueName(live?.id ?? '')}:events`;
    const wasAdded = async (): Promise<number> => {
      const [last] = await bench.shared.redis.xinfo('STREAM', stream).then((info) => entriesAdded(info));
      return last ?? 0;
    };
    await waitUntil('many jobs went round', async () => (await wasAdded()) > 500);
    expect(await bench.shared.redis.xlen(stream)).toBeLessThan(200);
  });

  it('of a worker that was killed is removed by another one, and that of a silent one only after a while', async () => {
    const { redis, keys, prefix } = bench.shared;
    const goneId = '0123456789ab';
    const silentId = 'ba9876543210';
    const leave = async (id: string, silentMs: number): Promise<void> => {
      await openQueue(probeQueueName(id), redis, prefix).add('probe', {}, { jobId: 'probe' });
      await redis.zadd(keys.workers, Date.now() - silentMs, `${id} 17 another-host`);
    };
    await leave(silentId, 300_000);
    await leave(goneId, 600_000);
    expect(await liveWorkers({ redis, keys })).toEqual([]);
    await bench.start({}, { timing: { ...TIMING, sweepEveryMs: 100 } });
    const isSwept = async (): Promise<boolean> => !(await keysOfProbes()).some((key) => key.includes(goneId));
    await waitUntil('it is removed', isSwept);
    // Once more, so that a whole sweep has gone by since the first began.
    await leave(goneId, 600_000);
    await waitUntil('it is removed again', isSwept);
    expect((await keysOfProbes()).filter((key) => key.includes(silentId))).not.toEqual([]);
    await waitUntil('its name is gone', async () => (await redis.zcard(keys.workers)) === 2);
  });
});

/** A list of names and values. */
function entriesAdded(info: unknown): number[] {
  const list = Array.isArray(info) ? info : [];
  const place = list.indexOf('entries-added');
  return place === -1 ? [] : [Number(list[place + 1])];
}
