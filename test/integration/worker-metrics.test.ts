import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { erased } from '../../src/shared/erased-delivery.js';
import type { Effect } from '../../src/worker/effects/effect.js';
import { FIXTURE_NAMES, deliveryOf } from '../support/deliveries.js';
import { labelValuesIn, metricIn } from '../support/metrics.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench, workerSealer } from '../support/worker-bench.js';

const TIMING = { lookEveryMs: 50 };
let bench: WorkerBench;

beforeEach(async () => {
  bench = await WorkerBench.open();
});
afterEach(() => bench.close());

async function metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number | undefined> {
  return metricIn(await bench.ops.metrics(), name, labels);
}

function outcomes(event: string, outcome: string): Promise<number | undefined> {
  return metric('b24_deliveries_total', { event, outcome });
}

describe('the metrics of a worker', () => {
  it('count every fixture, each by its name and outcome', async () => {
    await bench.start();
    const all = await Promise.all(FIXTURE_NAMES.map((name) => bench.deliver(name)));
    for (const delivery of all) await bench.outcomeOf(delivery);
    const text = await bench.ops.metrics();
    const events = [...new Set(FIXTURE_NAMES.map((name) => name.replace(/\..*/, '')))];
    const known = events.map((name) => (name === 'ONCRMDEALUPDATE' ? 'other' : name));
    expect(labelValuesIn(text, 'b24_deliveries_total', 'event')).toEqual(known.toSorted());
    expect(await outcomes('ONIMCONNECTORMESSAGEADD', 'done')).toBe(2);
    expect(await outcomes('other', 'done')).toBe(1);
    expect(metricIn(text, 'b24_effects_total', { effect: 'forward', outcome: 'done' })).toBeGreaterThan(10);
    expect(metricIn(text, 'b24_effect_duration_seconds_count', { effect: 'forward' })).toBeGreaterThan(10);
  });

  it('tell what became of a delivery', async () => {
    await bench.start({ B24_EVENTS: 'ONCRMDEALUPDATE' });
    const first = await bench.deliver('ONCRMDEALUPDATE');
    await bench.outcomeOf(first);
    await bench.outcomeOf(await bench.deliver('ONCRMDEALUPDATE', {}, { receivedAtMs: first.receivedAtMs - 1 }));
    await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD', { 'data[LINE]': 'not a number' }));
    await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD', { 'auth[application_token]': 'forged' }));
    await bench.outcomeOf(
      await bench.deliver('ONIMCONNECTORLINEDELETE', {}, erased(deliveryOf(workerSealer, 'ONIMCONNECTORLINEDELETE'))),
    );
    const newer = await bench.deliver('ONIMCONNECTORDIALOGSTART', {}, { v: 2 as 1 });
    const parked = await bench.deliver('ONIMCONNECTORDIALOGFINISH', { 'auth[member_id]': 'unknown' });
    for (const { id } of [newer, parked])
      await waitUntil('it waits', async () => (await bench.deliveries.getJobState(id)) === 'delayed');
    expect(await outcomes('ONCRMDEALUPDATE', 'done')).toBe(1);
    expect(await outcomes('ONCRMDEALUPDATE', 'duplicate')).toBe(1);
    expect(await outcomes('ONIMCONNECTORMESSAGEADD', 'failed')).toBe(1);
    expect(await metric('b24_failures_total', { effect: 'delivery', code: 'DATA_INVALID' })).toBe(1);
    expect(await outcomes('ONIMCONNECTORMESSAGEADD', 'rejected')).toBe(1);
    expect(await outcomes('ONIMCONNECTORLINEDELETE', 'cancelled')).toBe(1);
    expect(await outcomes('ONIMCONNECTORDIALOGSTART', 'put_off')).toBe(1);
    expect(await outcomes('ONIMCONNECTORDIALOGFINISH', 'parked')).toBe(1);
  });

  it('count an event once, with its age at the end of the last effect', async () => {
    await bench.start();
    bench.receiver.answer = (_request, count) => ({ status: count < 3 ? 503 : 204 });
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD', {}, { receivedAtMs: Date.now() - 100_000 });
    expect(await bench.outcomeOf(delivery)).toBe('retrying');
    expect(await metric('b24_event_age_seconds_count')).toBe(0);
    await bench.effectDone();
    await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD'));
    expect(await metric('b24_event_age_seconds_count')).toBe(1);
    expect(await metric('b24_event_age_seconds_sum')).toBeGreaterThan(100);
    expect(await metric('b24_event_age_seconds_sum')).toBeLessThan(160);
    expect(await outcomes('ONIMCONNECTORMESSAGEADD', 'retrying')).toBe(1);
    expect(await metric('b24_effects_total', { effect: 'forward', outcome: 'failed' })).toBe(2);
    expect(await metric('b24_effects_total', { effect: 'forward', outcome: 'done' })).toBe(1);
    expect(await metric('b24_failures_total', { effect: 'forward', code: 'EFFECT_UNAVAILABLE' })).toBe(2);
  });

  it('count an effect that is given up, and one that is no longer configured, by their codes', async () => {
    await bench.start({ EFFECT_ATTEMPTS: '1' });
    bench.receiver.answer = () => ({ status: 410 });
    await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD'));
    const { retry } = await bench.failedEffect();
    expect(await metric('b24_effects_total', { effect: 'forward', outcome: 'given_up' })).toBe(1);
    expect(await metric('b24_failures_total', { effect: 'forward', code: 'EFFECT_REFUSED' })).toBe(1);
    await bench.stop();
    await bench.start({ FORWARD_URL: '', FORWARD_SECRET: '' });
    await retry();
    await waitUntil('it fails again', async () => {
      return (await metric('b24_failures_total', { effect: 'other', code: 'EFFECT_NOT_CONFIGURED' })) === 1;
    });
  });

  it('hold as many series after random names of events as before', async () => {
    await bench.start();
    for (let count = 0; count < 30; count += 1) {
      const prefix = count % 2 === 0 ? 'ON' : 'INCOMING.';
      const name = `${prefix}${randomBytes(8).toString('hex').toUpperCase()}`;
      await bench.outcomeOf(await bench.deliver('ONCRMDEALUPDATE', { event: name }, { name }));
    }
    const text = await bench.ops.metrics();
    expect(labelValuesIn(text, 'b24_deliveries_total', 'event')).toEqual(['incoming', 'other']);
  });

  it('tell by when what is under way must have ended', async () => {
    let release = (): void => undefined;
    const hanging = new Promise<void>((resolve) => {
      release = resolve;
    });
    const effect: Effect = { name: 'hanging', wants: () => true, run: () => hanging };
    await bench.start({ EFFECT_TIMEOUT_MS: '60000' }, { effects: [effect] });
    const beganAfter = Date.now() / 1000;
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD');
    const deadline = (): Promise<number | undefined> =>
      metric('b24_worker_runs_end_by_timestamp_seconds', { queue: 'deliveries' });
    await waitUntil('it is under way', async () => (await deadline()) !== undefined);
    expect(await deadline()).toBeGreaterThan(beganAfter + 59);
    expect(await deadline()).toBeLessThan(Date.now() / 1000 + 61);
    release();
    await bench.outcomeOf(delivery);
    await waitUntil('nothing is', async () => (await deadline()) === undefined);
  });

  it('show what is in the queues, how long it waits, and what Redis uses', async () => {
    await bench.deliveries.pause();
    const receivedAtMs = Date.now() - 50_000;
    const delivery = deliveryOf(workerSealer, 'ONIMCONNECTORMESSAGEADD');
    await bench.deliveries.add(delivery.name, delivery, { jobId: delivery.id, timestamp: receivedAtMs });
    await bench.start({ DELIVERY_CONCURRENCY: '7' }, { timing: TIMING });
    await waitUntil('a look came through', async () => {
      return (await metric('b24_queue_jobs', { queue: 'deliveries', state: 'waiting' })) === 1;
    });
    expect(await metric('b24_queue_jobs', { queue: 'rejected', state: 'failed' })).toBe(0);
    expect(await metric('b24_oldest_waiting_age_seconds', { queue: 'deliveries' })).toBeGreaterThan(49);
    expect(await metric('b24_oldest_waiting_age_seconds', { queue: 'effects' })).toBe(0);
    expect(await metric('b24_queue_paused', { queue: 'deliveries' })).toBe(1);
    expect(await metric('b24_queue_paused', { queue: 'effects' })).toBe(0);
    expect(await metric('b24_redis_reachable')).toBe(1);
    expect(await metric('b24_redis_memory_bytes')).toBeGreaterThan(100_000);
    expect(await metric('b24_redis_memory_max_bytes')).toBeGreaterThanOrEqual(0);
    expect(await metric('b24_worker_slots', { queue: 'deliveries', state: 'free' })).toBe(7);
    // Nothing is under way while the queue is paused.
    expect(await metric('b24_worker_runs_end_by_timestamp_seconds', { queue: 'deliveries' })).toBeUndefined();
    await waitUntil('a job went round', async () => (await metric('b24_worker_round_trip_seconds')) !== undefined);
  });
});
