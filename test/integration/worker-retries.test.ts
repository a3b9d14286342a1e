import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { effectJobId } from '../../src/shared/queues.js';
import { startReceiver } from '../support/receiver.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench } from '../support/worker-bench.js';

let bench: WorkerBench;

beforeEach(async () => {
  bench = await WorkerBench.open();
});
afterEach(() => bench.close());

describe('an effect that fails', () => {
  it('goes on alone until it is done, with the same webhook-id', async () => {
    bench.receiver.answer = (_request, count) => ({ status: count < 4 ? 500 : 204 });
    await bench.start();
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD');
    expect(await bench.outcomeOf(delivery)).toBe('retrying');
    await bench.forwards(4);
    await bench.effectDone();
    expect(new Set(bench.receiver.received.map(({ id }) => id))).toEqual(new Set([delivery.eventId]));
    expect(bench.receiver.received).toHaveLength(4);
    expect(await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD'))).toBe('duplicate');
  });

  it.each([400, 410, 413, 415, 422])('with %i is never tried again, until a person does', async (status) => {
    bench.receiver.answer = (_request, count) => ({ status: count === 1 ? status : 204 });
    await bench.start();
    expect(await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD'))).toBe('retrying');
    const { reason, retry } = await bench.failedEffect();
    expect(reason).toMatch(/^EFFECT_REFUSED: /);
    expect(bench.receiver.received).toHaveLength(1);
    await retry();
    await bench.effectDone();
    expect(bench.receiver.received).toHaveLength(2);
  });

  it('that is refused at a retry is not tried any more', async () => {
    bench.receiver.answer = (_request, count) => ({ status: count === 1 ? 500 : 410 });
    await bench.start();
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    expect((await bench.failedEffect()).reason).toMatch(/^EFFECT_REFUSED: /);
    expect(bench.receiver.received).toHaveLength(2);
  });

  it('and is large is not kept among the completed once it is done', async () => {
    bench.receiver.answer = (_request, count) => ({ status: count === 1 ? 500 : 204 });
    await bench.start();
    const { eventId, id } = await bench.deliver('ONIMCONNECTORMESSAGEADD', {}, { bytes: 20_000 });
    await bench.forwards(2);
    const state = () => bench.effects.getJobState(effectJobId(eventId, 'forward', id));
    await waitUntil('it is forgotten', async () => (await state()) === 'unknown');
  });

  it('fails for good when its attempts are used up, with the code of the last one', async () => {
    bench.receiver.answer = () => ({ status: 503 });
    await bench.start({ EFFECT_ATTEMPTS: '3' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    expect((await bench.failedEffect()).reason).toMatch(/^EFFECT_UNAVAILABLE: .*503/);
    expect(bench.receiver.received).toHaveLength(3);
  });

  it('with a single attempt fails after the first', async () => {
    bench.receiver.answer = () => ({ status: 503 });
    await bench.start({ EFFECT_ATTEMPTS: '1' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    expect((await bench.failedEffect()).reason).toMatch(/^EFFECT_UNAVAILABLE: /);
    expect(bench.receiver.received).toHaveLength(1);
  });

  it('waits as long as Retry-After says, and uses no attempt by that', async () => {
    bench.receiver.answer = (_request, count) =>
      count < 4 ? { status: 429, headers: { 'retry-after': '1' } } : { status: 204 };
    await bench.start({ EFFECT_ATTEMPTS: '2' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await bench.effectDone();
    const times = bench.receiver.received.map(({ atMs }) => atMs);
    expect(times).toHaveLength(4);
    expect(Math.min(...times.slice(1).map((atMs, i) => atMs - (times[i] ?? 0)))).toBeGreaterThanOrEqual(950);
  });

  it('is given up when the event is too old, however few the attempts', async () => {
    bench.receiver.answer = () => ({ status: 500 });
    await bench.start({ EFFECT_AGE_SECONDS_MAX: '60' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD', {}, { receivedAtMs: Date.now() - 61_000 });
    expect((await bench.failedEffect()).reason).toMatch(/^EFFECT_EXPIRED: .*EFFECT_UNAVAILABLE/);
    expect(bench.receiver.received).toHaveLength(1);
  });

  it('after its deadline, or with half an answer, is tried again', async () => {
    bench.receiver.answer = (_request, count) => (count === 1 ? 'hang' : count === 2 ? 'half' : { status: 200 });
    await bench.start({ EFFECT_TIMEOUT_MS: '200' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await bench.effectDone();
    expect(bench.receiver.received).toHaveLength(3);
  });

  it('has a job of its own although a finished one of the same event is still kept', async () => {
    bench.receiver.answer = (_request, count) => ({ status: count % 2 === 1 ? 500 : 204 });
    await bench.start();
    const { eventId } = await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await bench.effectDone();
    await bench.shared.redis.del(bench.shared.keys.event(eventId));
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await bench.forwards(4);
    expect(bench.receiver.received).toHaveLength(4);
  });

  it.each([
    [401, '0'],
    [503, '0'],
    [503, 'Thu, 01 Jan 1970 00:00:00 GMT'],
  ])('with %i and Retry-After: %s uses up its attempts', async (status, retryAfter) => {
    bench.receiver.answer = () => ({ status, headers: { 'retry-after': retryAfter } });
    await bench.start({ EFFECT_ATTEMPTS: '3' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await bench.failedEffect();
    expect(bench.receiver.received).toHaveLength(3);
  });

  it('does not follow a redirect', async () => {
    const elsewhere = await startReceiver();
    bench.receiver.answer = () => ({ status: 302, headers: { location: elsewhere.url } });
    await bench.start({ EFFECT_ATTEMPTS: '2' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    expect((await bench.failedEffect()).reason).toMatch(/^EFFECT_REDIRECTED: /);
    expect(elsewhere.received).toHaveLength(0);
    await elsewhere.close();
  });
});

describe('a worker that stops', () => {
  it('lets running effects end', async () => {
    let release: () => void = () => undefined;
    bench.receiver.answer = () => new Promise((resolve) => (release = () => resolve({ status: 204 })));
    await bench.start({ EFFECT_TIMEOUT_MS: '20000' });
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await bench.forwards(1);
    const stopped = bench.stop();
    release();
    await stopped;
    expect(await bench.outcomeOf(delivery)).toBe('done');
  });

  it('leaves nothing to a lock when an effect hangs', async () => {
    bench.receiver.answer = () => 'hang';
    await bench.start({ EFFECT_TIMEOUT_MS: '500' });
    await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await bench.forwards(1);
    await bench.stop();
    expect(await bench.deliveries.getActiveCount()).toBe(0);
    expect(await bench.effects.getActiveCount()).toBe(0);
  });
});
