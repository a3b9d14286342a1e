import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { createOnceStore, type OncePlace, type OnceStore } from '../../src/worker/handlers/once-store.js';
import { useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';

const oldKey = toSecretKey(Buffer.alloc(32, 1));
const newKey = toSecretKey(Buffer.alloc(32, 2));

let shared: SharedRedisUse;
let store: OnceStore;
let nextEvent = 0;

beforeAll(() => {
  shared = useSharedRedis();
  store = storeWith(createSealer({ current: oldKey, previous: [] }));
});

afterAll(() => shared.close());

function storeWith(sealer: ReturnType<typeof createSealer>): OnceStore {
  return createOnceStore({ ...shared, sealer, ttlSeconds: 60 });
}

function place(changes: Partial<OncePlace> = {}): OncePlace {
  return { eventId: `e${nextEvent}`, effect: 'handler-h', step: 's', run: 'run-1', ...changes };
}

function newEvent(): void {
  nextEvent += 1;
}

describe('the store of steps', () => {
  it('gives the first end that was noted to whoever comes after it', async () => {
    newEvent();
    expect(await store.begin(place(), false)).toBeUndefined();
    const ends = await Promise.all(['1', '2', '3'].map((run) => store.end(place({ run }), `[${run}]`)));
    expect(new Set(ends).size).toBe(1);
    expect(await store.begin(place({ run: 'later' }), true)).toBe(ends[0]);
  });

  it('lets one of many begin what must not run twice', async () => {
    newEvent();
    const runs = Array.from({ length: 10 }, (_, n) => store.begin(place({ run: `r${n}` }), true));
    const results = await Promise.allSettled(runs);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });

  it('takes back only what the run itself has begun', async () => {
    newEvent();
    await store.begin(place(), true);
    await store.undo(place({ run: 'another' }));
    await expect(store.begin(place({ run: 'another' }), true)).rejects.toThrow('ONCE_UNKNOWN');
    await store.undo(place());
    expect(await store.begin(place({ run: 'another' }), true)).toBeUndefined();
  });

  it('releases what was begun, and keeps what has ended', async () => {
    newEvent();
    await store.begin(place(), true);
    await store.end(place({ step: 'done' }), '[1]');
    await store.release(place().eventId, place().effect);
    expect(await store.begin(place({ run: 'r2' }), true)).toBeUndefined();
    expect(await store.begin(place({ run: 'r2', step: 'done' }), true)).toBe('[1]');
  });

  it('keeps events, handlers and steps apart', async () => {
    newEvent();
    await store.end(place(), '[1]');
    expect(await store.begin(place({ step: 'another' }), false)).toBeUndefined();
    expect(await store.begin(place({ effect: 'handler-x' }), false)).toBeUndefined();
  });

  it('refuses more than 100 steps, and does not mind those that it knows', async () => {
    newEvent();
    for (let n = 0; n < 100; n += 1) await store.end(place({ step: `s${n}` }), '[]');
    await expect(store.begin(place({ step: 'more' }), false)).rejects.toThrow('ONCE_TOO_LARGE');
    expect(await store.begin(place({ step: 's5' }), false)).toBe('[]');
  });

  it('opens what an earlier key has sealed, waits for a key that it lacks, and takes nothing from another place', async () => {
    newEvent();
    await store.end(place(), '[1]');
    const rolled = storeWith(createSealer({ current: newKey, previous: [oldKey] }));
    expect(await rolled.begin(place(), false)).toBe('[1]');
    const lacking = storeWith(createSealer({ current: newKey, previous: [] }));
    await expect(lacking.begin(place(), false)).rejects.toThrow('SEAL_KEY_UNKNOWN');
    const key = shared.keys.once(place().eventId, place().effect);
    await shared.redis.hset(key, 'moved', (await shared.redis.hget(key, 's')) ?? '');
    await expect(store.begin(place({ step: 'moved' }), false)).rejects.toThrow('SEAL_BROKEN');
  });

  it('is forgotten in the end', async () => {
    newEvent();
    await store.begin(place(), true);
    const ttl = await shared.redis.ttl(shared.keys.once(place().eventId, place().effect));
    expect(ttl).toBeGreaterThan(50);
  });
});
