import { beforeEach, describe, expect, it } from '@jest/globals';
import { QueueGate, redisBytesOf, type QueueLoad } from '../../src/api/queue-gate.js';
import { createLogger } from '../../src/shared/logger.js';

const RECORD_LENGTH = 1500;
const RECORD_BYTES = redisBytesOf(RECORD_LENGTH);

let load: QueueLoad;
let nowMs: number;
let looks: number;
let events: string[];
let gate: QueueGate;

beforeEach(() => {
  load = { waitingDeliveries: 0, usedBytes: 0, bytesMax: 0 };
  nowMs = 0;
  looks = 0;
  events = [];
  const stream = { write: (line: string) => void events.push((JSON.parse(line) as { event: string }).event) };
  const look = (): Promise<QueueLoad> => {
    looks += 1;
    return Promise.resolve(load);
  };
  gate = new QueueGate({ load: look, logger: createLogger('info', 'test', stream), nowMs: () => nowMs });
});

function admit(count: number): Promise<number> {
  return gate.admit(Array.from({ length: count }, () => RECORD_LENGTH));
}

describe('the gate before the queue', () => {
  it('admits no more than 40 % of maxmemory of what waits, between two looks too', async () => {
    load = { ...load, bytesMax: (RECORD_BYTES * 100) / 0.4 };
    expect(await admit(60)).toBe(60);
    expect(await admit(60)).toBe(40);
    expect(looks).toBe(1);
  });

  it.each([
    [
      'waiting deliveries take 40 % of maxmemory',
      { waitingDeliveries: 1000, usedBytes: 0, bytesMax: (RECORD_BYTES * 1000) / 0.4 },
    ],
    ['80 % of maxmemory are used', { waitingDeliveries: 0, usedBytes: 80_000_000, bytesMax: 100_000_000 }],
    ['some 500,000 wait and no maxmemory is set', { waitingDeliveries: 500_000, usedBytes: 0, bytesMax: 0 }],
  ])('admits nothing while %s', async (_what, full) => {
    load = full;
    expect(await admit(1)).toBe(0);
    expect(gate.isClosed).toBe(true);
  });

  it('opens again only when there is some room, and looks anew for it', async () => {
    load = { waitingDeliveries: 500_000, usedBytes: 0, bytesMax: 0 };
    await admit(1);
    load = { ...load, waitingDeliveries: 460_000 };
    expect(await admit(1)).toBe(0);
    load = { ...load, waitingDeliveries: 440_000 };
    expect(await admit(1)).toBe(1);
  });

  it('looks again after half a second', async () => {
    await admit(1);
    nowMs = 499;
    await admit(1);
    expect(looks).toBe(1);
    nowMs = 500;
    await admit(1);
    expect(looks).toBe(2);
  });

  it('says once that it is closed and once that this is over, however often it opens for a moment', async () => {
    for (const waitingDeliveries of [500_000, 440_000, 500_000, 440_000, 500_000]) {
      load = { ...load, waitingDeliveries };
      nowMs += 500;
      await admit(1);
    }
    load = { ...load, waitingDeliveries: 0 };
    for (let second = 0; second < 10; second += 1) {
      nowMs += 1000;
      await admit(1);
    }
    expect(events).toEqual(['drain.paused', 'drain.resumed']);
  });
});
