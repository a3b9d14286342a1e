import { describe, expect, test } from '@jest/globals';
import { LeakyBucket, ENTERPRISE_BUCKET, ORDINARY_BUCKET } from '../../src/simulator/leaky-bucket.js';
import { OperatingTimes } from '../../src/simulator/operating-times.js';
import { seededRandom } from '../../src/simulator/seeded-random.js';

const START_MS = 1_800_000_000_000;

function takeMany(bucket: LeakyBucket, count: number, nowMs: number): number {
  return Array.from({ length: count }, () => bucket.take(nowMs)).filter(Boolean).length;
}

describe('the leaky bucket', () => {
  test.each([
    ['50 at once and 2 a second', ORDINARY_BUCKET, { burst: 50, perSecond: 2 }],
    ['250 at once and 5 a second on an enterprise plan', ENTERPRISE_BUCKET, { burst: 250, perSecond: 5 }],
  ])('lets %s in', (_, size, { burst, perSecond }) => {
    const bucket = new LeakyBucket(size);

    expect(takeMany(bucket, burst + 10, START_MS)).toBe(burst);
    expect(takeMany(bucket, 100, START_MS + 1000)).toBe(perSecond);
    expect(bucket.refused).toBe(10 + 100 - perSecond);
  });

  test('is not filled by what it refuses', () => {
    const bucket = new LeakyBucket(ORDINARY_BUCKET);
    takeMany(bucket, 500, START_MS);

    expect(bucket.take(START_MS + 500)).toBe(true);
  });

  test('is empty after a long rest, and no emptier', () => {
    const bucket = new LeakyBucket(ORDINARY_BUCKET);
    takeMany(bucket, 50, START_MS);

    expect(takeMany(bucket, 100, START_MS + 3_600_000)).toBe(50);
  });
});

describe('the time of work of a method', () => {
  test('is the sum of ten minutes, each of which counts no longer after ten', () => {
    let nowMs = START_MS;
    const times = new OperatingTimes(() => nowMs);
    times.add('crm.item.list', 100);
    nowMs += 60_000;
    times.add('crm.item.list', 50);

    expect(times.of('crm.item.list')).toEqual({ operating: 150, operating_reset_at: START_MS / 1000 + 600 });

    nowMs = START_MS + 600_000;

    expect(times.of('crm.item.list')).toEqual({ operating: 50, operating_reset_at: START_MS / 1000 + 660 });
  });

  test('blocks the method alone, at 480 seconds, until its minute counts no longer', () => {
    let nowMs = START_MS;
    const times = new OperatingTimes(() => nowMs);
    times.add('crm.item.list', 479);
    const before = times.isOverLimit('crm.item.list');
    times.add('crm.item.list', 1);

    expect([before, times.isOverLimit('crm.item.list'), times.isOverLimit('profile')]).toEqual([false, true, false]);

    nowMs += 600_000;

    expect(times.isOverLimit('crm.item.list')).toBe(false);
  });
});

describe('chance', () => {
  test('is the same for the same seed, and even', () => {
    const draw = (seed: number): number[] => Array.from({ length: 10_000 }, seededRandom(seed));
    const mean = draw(7).reduce((sum, value) => sum + value, 0) / 10_000;

    expect(draw(7)).toEqual(draw(7));
    expect(draw(8)).not.toEqual(draw(7));
    expect(mean).toBeGreaterThan(0.48);
    expect(mean).toBeLessThan(0.52);
    expect(draw(7).every((value) => value >= 0 && value < 1)).toBe(true);
  });
});
