import { afterAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createParkingLot, PARKED_MAX, PARKED_PER_PORTAL_MAX } from '../../src/worker/parked.js';
import { useSharedRedis } from '../support/shared-redis.js';

const { redis, keys } = useSharedRedis();
let nowMs = 1_800_000_000_000;
const lot = createParkingLot({ redis, keys, waitMs: 900_000, now: () => nowMs });

beforeEach(async () => {
  nowMs = 1_800_000_000_000;
  await redis.del(keys.parked, keys.parkedOf('portal'), keys.parkedOf('other'));
});
afterAll(() => redis.disconnect());

describe('a parked event', () => {
  it('is looked at every minute, and for the last time at the end of its wait', async () => {
    expect(await lot.park('portal', 'job')).toEqual({ kind: 'until', atMs: nowMs + 60_000 });
    nowMs += 880_000;
    expect(await lot.park('portal', 'job')).toEqual({ kind: 'until', atMs: nowMs + 20_000 });
    nowMs += 20_000;
    expect(await lot.park('portal', 'job')).toEqual({ kind: 'ended' });
  });

  it('is found by its portal until it leaves, the first before the others', async () => {
    await lot.park('portal', 'first');
    nowMs += 1;
    await lot.park('portal', 'second');
    await lot.park('other', 'third');
    expect(await lot.jobsOf('portal')).toEqual(['first', 'second']);
    await lot.leave('portal', 'first');
    expect(await lot.jobsOf('portal')).toEqual(['second']);
  });

  it('finds no room beyond the bound of its portal, while other portals do', async () => {
    const jobs = Array.from({ length: PARKED_PER_PORTAL_MAX }, (_, i) => lot.park('portal', `job-${i}`));
    await Promise.all(jobs);
    expect(await lot.park('portal', 'one-more')).toEqual({ kind: 'full' });
    expect((await lot.park('portal', 'job-0')).kind).toBe('until');
    expect((await lot.park('other', 'one')).kind).toBe('until');
  });

  it('finds no room beyond the bound of all portals', async () => {
    const members = Array.from({ length: PARKED_MAX }, (_, i) => [nowMs + 900_000, `job-${i}`]).flat();
    await redis.zadd(keys.parked, ...(members as [number, string]));
    expect(await lot.park('portal', 'one-more')).toEqual({ kind: 'full' });
  });
});
