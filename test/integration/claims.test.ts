import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { CRASHES_MAX, createClaims, type Claims } from '../../src/worker/claims.js';
import { claimEvent } from '../../src/worker/claim-event.js';
import { createKeys } from '../../src/shared/keys.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectPatiently } from '../../src/shared/redis.js';
import { registerSecretKey } from '../../src/shared/secret-key-registry.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { describeWithRedisBinary, startRedisServer } from '../support/redis-server.js';
import { silentLogger, useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
const { redis, keys } = shared;

function claimsOf(runner: string): Claims {
  return createClaims({ redis, keys, runner, windowSeconds: 3600, unfinishedSeconds: 100_000 });
}

let counter = 0;
let eventId = '';
const claims = claimsOf('process-1');

function request(
  deliveryId: string,
  changes: { pointsOnly?: boolean; receivedAtMs?: number; effects?: string[] } = {},
) {
  return {
    eventId,
    deliveryId,
    receivedAtMs: Date.now(),
    effects: ['forward', 'state'],
    pointsOnly: false,
    ...changes,
  };
}

beforeEach(() => {
  eventId = `event-${(counter += 1)}`;
});
afterAll(() => shared.close());

describe('the claim on an event', () => {
  it('is given to one of many deliveries that ask at once; the others are duplicates of that one', async () => {
    const answers = await Promise.all(['a', 'b', 'c', 'd'].map((id) => claims.claim(request(id))));
    expect(answers.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
    expect(answers.filter(({ kind }) => kind === 'duplicate')).toHaveLength(3);
  });

  it('is taken up by the next run of its own delivery, which skips what is done', async () => {
    await claims.claim(request('a'));
    await claims.settle(eventId, 'state');
    const second = await claims.claim(request('a'));
    expect(second).toMatchObject({ kind: 'claimed', fence: 2 });
    expect(second.kind === 'claimed' && [...second.states.values()]).toEqual([{ kind: 'run' }, { kind: 'done' }]);
  });

  it('lets a run that was overtaken hand nothing over', async () => {
    await claims.claim(request('a'));
    await claims.claim(request('a'));
    expect(await claims.handOver(eventId, 1, { effect: 'forward', note: '{}' })).toBe(false);
    expect(await claims.handOver(eventId, 2, { effect: 'forward', note: '{}' })).toBe(true);
  });

  it('gives the note of a hand-over to the next run, so that it can add the job again', async () => {
    await claims.claim(request('a'));
    await claims.handOver(eventId, 1, { effect: 'forward', note: '{"attemptsBefore":1}' });
    const second = await claims.claim(request('a'));
    expect(second.kind === 'claimed' && second.states.get('forward')).toEqual({
      kind: 'handed',
      note: '{"attemptsBefore":1}',
    });
  });

  it('does not undo what is done by handing it over', async () => {
    await claims.claim(request('a'));
    await claims.settle(eventId, 'forward');
    expect(await claims.handOver(eventId, 1, { effect: 'forward', note: '{}' })).toBe(false);
  });

  it('shrinks to a key that lives for the window when all is done, and still tells duplicates', async () => {
    await claims.claim(request('a'));
    await claims.settle(eventId, 'forward');
    expect(await redis.type(keys.event(eventId))).toBe('hash');
    await claims.settle(eventId, 'state');
    expect(await redis.type(keys.event(eventId))).toBe('string');
    expect(await redis.ttl(keys.event(eventId))).toBeGreaterThan(3500);
    expect(await claims.claim(request('b'))).toEqual({ kind: 'duplicate', of: 'a' });
    expect(await claims.claim(request('a'))).toEqual({ kind: 'finished' });
  });

  it('is finished at once for an event about which nothing is to be done', async () => {
    await claims.claim(request('a', { effects: [] }));
    await claims.settle(eventId);
    expect(await claims.claim(request('a', { effects: [] }))).toEqual({ kind: 'finished' });
  });

  it('is remembered longer than the window while it is unfinished or failed', async () => {
    await claims.claim(request('a'));
    expect(await redis.ttl(keys.event(eventId))).toBeGreaterThan(90_000);
    await claims.endEffect(eventId, 'forward', 'given-up');
    expect(await redis.ttl(keys.event(eventId))).toBeGreaterThan(90_000);
    expect(await claims.claim(request('b'))).toEqual({ kind: 'duplicate', of: 'a' });
  });
});

describe('an event that only points at an entity', () => {
  const pointing = { pointsOnly: true };

  it('runs again, under an id of its own, when it came after the effects of its twin began', async () => {
    await claims.claim(request('a', pointing));
    const later = request('b', { ...pointing, receivedAtMs: Date.now() + 60_000 });
    expect(await claimEvent(claims, later)).toMatchObject({ kind: 'claimed', eventId: `${eventId}~1` });
    expect(await claimEvent(claims, later)).toMatchObject({ kind: 'claimed', eventId: `${eventId}~1`, fence: 2 });
  });

  it('is a duplicate when it came before: whoever asks for the entity then sees both changes', async () => {
    const earlier = request('b', { ...pointing, receivedAtMs: Date.now() - 60_000 });
    await claims.claim(request('a', pointing));
    expect(await claimEvent(claims, earlier)).toMatchObject({ kind: 'duplicate', of: 'a' });
  });

  it('loses none of many twins in one second', async () => {
    const twins = Array.from({ length: 40 }, (_, i) =>
      request(`twin-${i}`, { ...pointing, receivedAtMs: Date.now() + 60_000 }),
    );
    const ids: string[] = [];
    for (const twin of twins) {
      const claim = await claimEvent(claims, twin);
      expect(claim.kind).toBe('claimed');
      ids.push(claim.eventId);
    }
    expect(new Set(ids).size).toBe(40);
  });
});

describe('a job that ends its worker', () => {
  it('is set aside after five processes that died with it, and can be retried after that', async () => {
    for (let i = 0; i < CRASHES_MAX; i += 1) {
      expect((await claimsOf(`process-${i}`).claim(request('a'))).kind).toBe('claimed');
    }
    expect(await claimsOf('process-last').claim(request('a'))).toEqual({ kind: 'crashing' });
    expect((await claimsOf('process-next').claim(request('a'))).kind).toBe('claimed');
  });

  it('is not counted when the process lives or ended cleanly', async () => {
    for (let i = 0; i < CRASHES_MAX * 3; i += 1) expect((await claims.claim(request('a'))).kind).toBe('claimed');
    for (let i = 0; i < CRASHES_MAX * 3; i += 1) {
      expect((await claimsOf(`clean-${i}`).claim(request('a'))).kind).toBe('claimed');
      await claims.release(eventId);
    }
  });

  it('is counted for each effect that has a job of its own', async () => {
    await claims.claim(request('a'));
    for (let i = 0; i < CRASHES_MAX; i += 1) {
      expect(await claimsOf(`process-${i}`).beginEffect(eventId, 'forward')).toBe('run');
    }
    expect(await claimsOf('process-last').beginEffect(eventId, 'forward')).toBe('crashing');
    expect(await claimsOf('process-last').beginEffect(eventId, 'state')).toBe('run');
  });
});

describe('the job of one effect', () => {
  it('does not run what is done, and runs where nothing is known any more', async () => {
    await claims.claim(request('a'));
    await claims.settle(eventId, 'forward');
    expect(await claims.beginEffect(eventId, 'forward')).toBe('done');
    expect(await claims.beginEffect('lost-event', 'forward')).toBe('run');
  });

  it('may run again what was given up, and then finishes the event', async () => {
    await claims.claim(request('a', { effects: ['forward'] }));
    await claims.endEffect(eventId, 'forward', 'given-up');
    expect(await claims.beginEffect(eventId, 'forward')).toBe('run');
    await claims.settle(eventId, 'forward');
    expect(await redis.type(keys.event(eventId))).toBe('string');
  });
});

describeWithRedisBinary('on a Redis that has become full', () => {
  it('notes what was done and handed over, and lets a process start that has the same key', async () => {
    const server = await startRedisServer();
    const own = connectPatiently(singleRedis(server.url), silentLogger);
    const ownKeys = createKeys('{full}');
    const onFull = createClaims({
      redis: own,
      keys: ownKeys,
      runner: 'r',
      windowSeconds: 3600,
      unfinishedSeconds: 7200,
    });
    const secretKeys = { current: toSecretKey(Buffer.alloc(32, 1)), previous: [] };
    await registerSecretKey(own, ownKeys, secretKeys);
    await onFull.claim(request('a'));
    await own.config('SET', 'maxmemory', '1');
    await expect(own.set('x', 'y')).rejects.toThrow(/OOM/);

    expect(await onFull.handOver(eventId, 1, { effect: 'state', note: '{}' })).toBe(true);
    await onFull.settle(eventId, 'forward');
    await onFull.settle(eventId, 'state');
    await registerSecretKey(own, ownKeys, secretKeys);

    expect(await own.type(ownKeys.event(eventId))).toBe('string');
    own.disconnect();
    await server.remove();
  });
});
