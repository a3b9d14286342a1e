import { describe, expect, test } from '@jest/globals';
import { callBatch } from '../../src/simulator/batch-call.js';
import { EventLedger } from '../../src/simulator/event-ledger.js';
import { EventPoster } from '../../src/simulator/event-poster.js';
import { forgetOldestEntries, forgetOldestItems } from '../../src/simulator/forget-oldest.js';
import { SimulatedMessenger } from '../../src/simulator/messenger.js';
import {
  createPortalState,
  noteCall,
  noteIncoming,
  type Cloud,
  type PortalState,
} from '../../src/simulator/portal-state.js';
import { TokenBook } from '../../src/simulator/token-book.js';

const now = (): number => 0;
const ARRIVED = { method: 'batch', params: {}, atMs: 0, owner: null, isInBatch: false };

function newPortal(): PortalState {
  const ledger = new EventLedger(0);
  const poster = new EventPoster();
  const cloud: Cloud = {
    clientId: 'id',
    clientSecret: 's',
    host: 'h',
    now,
    tokens: new TokenBook(now),
    ledger,
    poster,
  };
  return createPortalState(cloud, {}, '127.0.0.1:1');
}

describe('what has grown beyond its bound', () => {
  test('loses its oldest tenth, and keeps the rest', () => {
    const list = Array.from({ length: 101 }, (_, index) => index);
    const map = new Map(list.map((number) => [number, `v${number}`]));

    expect(forgetOldestItems(list, 100)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(forgetOldestEntries(map, 100)).toHaveLength(10);
    expect([list[0], list.length, map.size, map.get(9), map.get(10)]).toEqual([10, 91, 91, undefined, 'v10']);
    expect([forgetOldestItems(list, 91), forgetOldestEntries(map, 91)]).toEqual([[], []]);
  });
});

describe('a portal', () => {
  test('forgets its oldest calls, also where they come in batches', () => {
    const portal = newPortal();
    const call = noteCall(portal, ARRIVED);
    for (let count = 1; count < 200_000; count += 1) noteCall(portal, { ...ARRIVED, atMs: count });

    callBatch({ params: { cmd: { a: 'profile' } }, call, portal, run: () => true });

    expect(portal.calls).toHaveLength(180_001);
    expect(portal.calls.at(-1)).toMatchObject({ method: 'profile', isInBatch: true, status: 200 });
  });

  test('forgets the oldest messages of customers', () => {
    const portal = newPortal();
    for (let atMs = 0; atMs <= 20_000; atMs += 1) noteIncoming(portal, { connector: 'c', line: 1, message: {}, atMs });

    expect(portal.incoming).toHaveLength(18_001);
    expect(portal.incoming.at(-1)?.atMs).toBe(20_000);
  });
});

describe('the messenger', () => {
  test('forgets its oldest messages, and counts them all', () => {
    const messenger = new SimulatedMessenger({
      ledger: new EventLedger(0),
      poster: new EventPoster(),
      now,
      incoming: undefined,
    });
    const deliver = (key: number) => messenger.deliver({ chat: 'c', text: 't', idempotencyKey: String(key) });
    for (let key = 0; key <= 200_000; key += 1) deliver(key);

    const again = deliver(200_000);

    expect([messenger.messages.size, messenger.delivered, messenger.repeatedRequests]).toEqual([180_001, 200_001, 1]);
    expect([again.id, messenger.messages.has('ext-1')]).toEqual(['ext-200001', false]);
  });

  test('forgets the lines that were given up first', () => {
    const messenger = new SimulatedMessenger({
      ledger: new EventLedger(0),
      poster: new EventPoster(),
      now,
      incoming: undefined,
    });
    for (let line = 0; line <= 10_000; line += 1) messenger.forgetLine('p', String(line));

    expect([messenger.forgottenLines.length, messenger.forgottenLines.at(-1)]).toEqual([9001, 'p 10000']);
  });
});
