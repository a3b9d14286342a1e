import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { emptyPortal } from '../../src/shared/portals.js';
import { APPLICATION_TOKEN, MEMBER_ID } from '../support/deliveries.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench } from '../support/worker-bench.js';

let bench: WorkerBench;

beforeEach(async () => {
  bench = await WorkerBench.open();
});
afterEach(() => bench.close());

describe('events of a portal that is installed only now', () => {
  it('are released at once, in the order in which they came', async () => {
    await bench.start({ APPLICATION_TOKENS: '', DELIVERY_CONCURRENCY: '1' });
    const base = Date.now();
    for (const place of [3, 1, 4, 0, 2]) {
      const messageId = String(1000 + place);
      const changes = { 'data[MESSAGES][0][im][message_id]': messageId };
      await bench.deliver('ONIMCONNECTORMESSAGEADD', changes, { receivedAtMs: base + place });
    }
    await waitUntil('all are parked', async () => (await bench.deliveries.getDelayedCount()) === 5);
    const applicationTokens = [{ token: APPLICATION_TOKEN, receivedBeforeMs: null }];
    await bench.portals.save({ ...emptyPortal(MEMBER_ID), applicationTokens });
    await bench.forwards(5);
    const ids = bench.receiver.received.map(({ body }) => {
      const payload = body.data['payload'] as { messages: { im: { message_id: number } }[] };
      return payload.messages[0]?.im.message_id;
    });
    expect(ids).toEqual([1000, 1001, 1002, 1003, 1004]);
  });
});
