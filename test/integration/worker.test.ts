import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyPortal } from '../../src/shared/portals.js';
import { APPLICATION_TOKEN, FIXTURE_NAMES, MEMBER_ID, deliveryOf, forwardedBody } from '../support/deliveries.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench, workerSealer } from '../support/worker-bench.js';

let bench: WorkerBench;

beforeEach(async () => {
  bench = await WorkerBench.open();
});
afterEach(() => bench.close());

describe('a verified delivery', () => {
  it.each(FIXTURE_NAMES)('of %s is forwarded to the letter', async (name) => {
    await bench.start();
    const delivery = await bench.deliver(name);
    expect(await bench.outcomeOf(delivery)).toBe('done');
    expect(bench.receiver.received.map(({ body }) => body)).toEqual([forwardedBody(name)]);
    expect(bench.receiver.received[0]?.id).toBe(delivery.eventId);
    expect(bench.receiver.unsigned).toEqual([]);
  });

  it('that came five times at once is forwarded once; the others are duplicates', async () => {
    await bench.start();
    const all = await Promise.all(Array.from({ length: 5 }, () => bench.deliver('ONIMCONNECTORMESSAGEADD')));
    const outcomes = await Promise.all(all.map((delivery) => bench.outcomeOf(delivery)));
    expect(outcomes.toSorted()).toEqual(['done', 'duplicate', 'duplicate', 'duplicate', 'duplicate']);
    expect(bench.receiver.received).toHaveLength(1);
  });

  it('is no duplicate of another message of the same handler in the same second', async () => {
    await bench.start();
    const first = await bench.deliver('ONIMCONNECTORMESSAGEADD');
    const second = await bench.deliver('ONIMCONNECTORMESSAGEADD', { 'data[MESSAGES][0][im][message_id]': '86499' });
    expect([await bench.outcomeOf(first), await bench.outcomeOf(second)]).toEqual(['done', 'done']);
    expect(bench.receiver.received).toHaveLength(2);
  });

  it('of which FORWARD_EVENTS does not speak is done without being forwarded', async () => {
    await bench.start({ FORWARD_EVENTS: 'ONIMCONNECTOR*, ONAPPINSTALL' });
    const app = await bench.deliver('ONAPPUPDATE');
    const message = await bench.deliver('ONIMCONNECTORMESSAGEADD');
    expect([await bench.outcomeOf(app), await bench.outcomeOf(message)]).toEqual(['done', 'done']);
    expect(bench.receiver.received.map(({ body }) => body.type)).toEqual(['ONIMCONNECTORMESSAGEADD']);
  });

  it('is remembered as finished when all its effects are done, or when there are none', async () => {
    await bench.start({ FORWARD_EVENTS: 'ONIMCONNECTOR*' });
    for (const name of ['ONIMCONNECTORMESSAGEADD', 'ONAPPUPDATE']) {
      const delivery = await bench.deliver(name);
      await bench.outcomeOf(delivery);
      expect(await bench.shared.redis.type(bench.shared.keys.event(delivery.eventId))).toBe('string');
    }
  });

  it('is signed by both secrets while one replaces the other', async () => {
    const old = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;
    await bench.start({ FORWARD_SECRET: `${old},${bench.receiver.secret}` });
    expect(await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD'))).toBe('done');
    expect(bench.receiver.received[0]?.headers['webhook-signature']?.toString().split(' ')).toHaveLength(2);
  });

  it('whose job a newer release wrote waits until this worker is updated', async () => {
    await bench.start();
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD', {}, { v: 2 as 1 });
    await waitUntil('it is put off', async () => (await bench.deliveries.getJobState(delivery.id)) === 'delayed');
  });
});

describe('a delivery that does not verify', () => {
  it('is rejected and touches nothing: the true one after it is still done', async () => {
    await bench.start();
    const forged = await bench.deliver('ONIMCONNECTORMESSAGEADD', { 'auth[application_token]': 'forged' });
    expect(await bench.outcomeOf(forged)).toBe('rejected');
    await waitUntil('it is among the rejected', async () => (await bench.rejected.getFailedCount()) === 1);
    expect((await bench.rejected.getFailed())[0]?.failedReason).toMatch(/^TOKEN_MISMATCH: /);
    expect(await bench.shared.redis.exists(bench.shared.keys.event(forged.eventId))).toBe(0);
    expect(await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD'))).toBe('done');
  });

  it('goes the whole way again when a person retries it', async () => {
    await bench.start({ APPLICATION_TOKENS: `${MEMBER_ID}=not-yet-the-right-one` });
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD');
    await waitUntil('it is among the rejected', async () => (await bench.rejected.getFailedCount()) === 1);
    await bench.stop();
    await bench.start();
    await (await bench.rejected.getFailed())[0]?.retry('failed');
    await bench.forwards(1);
    expect(bench.receiver.received[0]?.id).toBe(delivery.eventId);
  });

  it('and is large is kept without what it says, and not among the completed', async () => {
    await bench.start();
    const changes = { 'auth[application_token]': 'forged' };
    const forged = await bench.deliver('ONIMCONNECTORMESSAGEADD', changes, { bytes: 20_000 });
    await waitUntil('it is among the rejected', async () => (await bench.rejected.getFailedCount()) === 1);
    const kept = (await bench.rejected.getFailed())[0]?.data.delivery;
    expect(kept).toMatchObject({ id: forged.id });
    expect(kept).not.toHaveProperty('body');
    expect(kept).not.toHaveProperty('seal');
    await waitUntil('it is forgotten', async () => (await bench.deliveries.getJobState(forged.id)) === 'unknown');
  });

  it('because its portal is not known is parked, and released at once when it is', async () => {
    await bench.start();
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD', { 'auth[member_id]': 'new-portal' });
    await waitUntil('it is parked', async () => (await bench.deliveries.getJobState(delivery.id)) === 'delayed');
    const applicationTokens = [{ token: APPLICATION_TOKEN, receivedBeforeMs: null }];
    await bench.portals.save({ ...emptyPortal('new-portal'), applicationTokens });
    expect(await bench.outcomeOf(delivery)).toBe('done');
    expect(bench.receiver.received).toHaveLength(1);
    expect(await bench.shared.redis.zcard(bench.shared.keys.parked)).toBe(0);
  });

  it('because its portal never becomes known fails in the end, with its code', async () => {
    await bench.start({ UNKNOWN_PORTAL_WAIT_SECONDS: '1' });
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD', { 'auth[member_id]': 'no-portal' });
    expect(await bench.outcomeOf(delivery)).toMatch(/^PORTAL_UNKNOWN: /);
    expect(await bench.shared.redis.zcard(bench.shared.keys.parked)).toBe(0);
  });
});

describe('a delivery whose data does not fit', () => {
  it('fails with the paths that are wrong, and its duplicates are duplicates', async () => {
    await bench.start();
    const bad = { 'data[LINE]': 'not a number' };
    const delivery = await bench.deliver('ONIMCONNECTORMESSAGEADD', bad);
    expect(await bench.outcomeOf(delivery)).toMatch(/^DATA_INVALID: .*data\.LINE/);
    expect(await bench.outcomeOf(await bench.deliver('ONIMCONNECTORMESSAGEADD', bad))).toBe('duplicate');
    expect(bench.receiver.received).toHaveLength(0);
  });
});

describe('DEDUP_BY=handler-ts', () => {
  it('takes whatever shares portal, handler and second for a duplicate', async () => {
    await bench.start({ DEDUP_BY: 'handler-ts' });
    const eventId = deliveryOf(workerSealer, 'ONCRMDEALUPDATE').eventId;
    const first = await bench.deliver('ONCRMDEALUPDATE', {}, { eventId });
    expect(await bench.outcomeOf(first)).toBe('done');
    const later = await bench.deliver('ONCRMDEALUPDATE', {}, { eventId, receivedAtMs: Date.now() + 5000 });
    expect(await bench.outcomeOf(later)).toBe('duplicate');
  });
});

describe('an event that only points at an entity', () => {
  it('runs again, under another webhook-id, when it came after its twin began', async () => {
    await bench.start();
    const first = await bench.deliver('ONCRMDEALUPDATE');
    expect(await bench.outcomeOf(first)).toBe('done');
    const later = await bench.deliver('ONCRMDEALUPDATE', {}, { receivedAtMs: Date.now() + 1 });
    expect(await bench.outcomeOf(later)).toBe('done');
    expect(bench.receiver.received.map(({ id }) => id)).toEqual([first.eventId, `${first.eventId}~1`]);
  });
});
