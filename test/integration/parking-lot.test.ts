import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createParkingLot, PARKED_PLACES_MAX, PARKED_PER_PORTAL_MAX } from '../../src/worker/parking-lot.js';
import { useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
const { redis, keys } = shared;
let nowMs = 1_800_000_000_000;
const lot = createParkingLot({ redis, keys, waitMs: 900_000, keepFailedMs: 1_000_000, now: () => nowMs });

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  await redis.del(keys.parked, keys.parkedInVain, keys.parkedOf('portal'), keys.parkedOf('other'));
});
afterAll(() => shared.close());

describe('a parked event', () => {
  it('is looked at every minute, and for the last time at the end of its wait', async () => {
    expect(await lot.park({ memberId: 'portal', jobId: 'job', bytes: 1000 })).toEqual({
      kind: 'until',
      atMs: nowMs + 60_000,
    });
    nowMs += 880_000;
    expect(await lot.park({ memberId: 'portal', jobId: 'job', bytes: 1000 })).toEqual({
      kind: 'until',
      atMs: nowMs + 20_000,
    });
    nowMs += 20_000;
    expect(await lot.park({ memberId: 'portal', jobId: 'job', bytes: 1000 })).toEqual({ kind: 'ended' });
  });

  it('does not use up its wait while something is undecided that it depends on', async () => {
    const job = { memberId: 'portal', jobId: 'job', bytes: 1000 };
    await lot.park(job);
    nowMs += 890_000;
    expect(await lot.park({ ...job, isUndecided: true })).toMatchObject({ kind: 'until' });
    nowMs += 890_000;
    expect(await lot.park(job)).toEqual({ kind: 'until', atMs: nowMs + 10_000 });
    expect(await redis.zcard(keys.parked)).toBe(1);
  });

  it('is found by its portal until it leaves, the first before the others', async () => {
    await lot.park({ memberId: 'portal', jobId: 'first', bytes: 1000 });
    nowMs += 1;
    await lot.park({ memberId: 'portal', jobId: 'second', bytes: 1000 });
    await lot.park({ memberId: 'other', jobId: 'third', bytes: 1000 });
    expect(await lot.jobsOf('portal')).toEqual(['first', 'second']);
    await lot.leave({ memberId: 'portal', jobId: 'first', bytes: 1000 });
    expect(await lot.jobsOf('portal')).toEqual(['second']);
  });

  it('finds no room beyond the bound of its portal, while other portals do', async () => {
    const jobs = Array.from({ length: PARKED_PER_PORTAL_MAX }, (_, i) =>
      lot.park({ memberId: 'portal', jobId: `job-${i}`, bytes: 1000 }),
    );
    await Promise.all(jobs);
    expect(await lot.park({ memberId: 'portal', jobId: 'one-more', bytes: 1000 })).toEqual({ kind: 'full' });
    expect((await lot.park({ memberId: 'portal', jobId: 'job-0', bytes: 1000 })).kind).toBe('until');
    expect((await lot.park({ memberId: 'other', jobId: 'one', bytes: 1000 })).kind).toBe('until');
  });

  it('finds no room beyond the bound of all portals', async () => {
    const members = Array.from({ length: PARKED_PLACES_MAX }, (_, i) => [nowMs + 900_000, `job-${i}`]).flat();
    await redis.zadd(keys.parked, ...(members as [number, string]));
    expect(await lot.park({ memberId: 'portal', jobId: 'one-more', bytes: 1000 })).toEqual({ kind: 'full' });
  });

  it('takes as much room as it is large', async () => {
    const places = Array.from({ length: PARKED_PLACES_MAX - 255 }, (_, i) => [nowMs + 900_000, `job-${i}`]).flat();
    await redis.zadd(keys.parked, ...(places as [number, string]));
    expect(await lot.park({ memberId: 'portal', jobId: 'large', bytes: 1_048_576 })).toEqual({ kind: 'full' });
    expect((await lot.park({ memberId: 'portal', jobId: 'less', bytes: 1_040_000 })).kind).toBe('until');
    await lot.leave({ memberId: 'portal', jobId: 'less', bytes: 1_040_000 });
    expect(await redis.zcard(keys.parked)).toBe(PARKED_PLACES_MAX - 255);
  });

  it('is kept as failed only while there is room for such, which comes back as they are forgotten', async () => {
    const places = Array.from({ length: PARKED_PLACES_MAX - 1 }, (_, i) => [nowMs + 1_000_000, `job-${i}`]).flat();
    await redis.zadd(keys.parkedInVain, ...(places as [number, string]));
    expect(await lot.keepAsFailed({ jobId: 'one', bytes: 1000 })).toBe(true);
    expect(await lot.keepAsFailed({ jobId: 'one-more', bytes: 1000 })).toBe(false);
    nowMs += 1_000_001;
    expect(await lot.keepAsFailed({ jobId: 'one-more', bytes: 1000 })).toBe(true);
  });
});
