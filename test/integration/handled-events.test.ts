import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHandledEvents, type HandledEvents } from '../../src/shared/handled-events.js';
import { useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { WorkerBench } from '../support/worker-bench.js';

let shared: SharedRedisUse;
let handled: HandledEvents;

beforeEach(() => {
  shared = useSharedRedis();
  handled = createHandledEvents(shared);
});

afterEach(() => shared.close());

describe('HandledEvents', () => {
  it('are none where no worker has told any', async () => {
    expect(await handled.all()).toEqual([]);
  });

  it('are those of the worker that was started last, and no others', async () => {
    await handled.replace(['ONCRMDEALADD', 'ONCRMLEADADD']);
    expect(await handled.replace(['ONCRMLEADADD', 'ONAPPUPDATE', 'ONAPPUPDATE'])).toBe(true);
    expect(new Set(await handled.all())).toEqual(new Set(['ONCRMLEADADD', 'ONAPPUPDATE']));
    await handled.replace([]);
    expect(await handled.all()).toEqual([]);
  });

  it('are not written again where they are the same, so that a worker starts on a full Redis', async () => {
    await handled.replace(['ONCRMDEALADD', 'ONCRMLEADADD']);
    await shared.redis.expire(shared.keys.handledEvents, 1000);
    expect(await handled.replace(['ONCRMLEADADD', 'ONCRMDEALADD'])).toBe(false);
    // A key that was written anew has lost its time to live.
    expect(await shared.redis.ttl(shared.keys.handledEvents)).toBeGreaterThan(0);
  });

  it('stay as they are where a worker without handlers starts', async () => {
    const bench = await WorkerBench.open();
    try {
      const told = createHandledEvents(bench.shared);
      await told.replace(['ONCRMDEALADD']);
      await bench.start();
      expect(await told.all()).toEqual(['ONCRMDEALADD']);
    } finally {
      await bench.close();
    }
  });
});
