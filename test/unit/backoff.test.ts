import { describe, expect, it } from '@jest/globals';
import { createBackoff } from '../../src/worker/backoff.js';

const bounds = { baseMs: 1000, capMs: 60_000 };

describe('createBackoff', () => {
  it('doubles its bound with every attempt, up to the cap', () => {
    const backoff = createBackoff(bounds, () => 0.999_999);
    expect([1, 2, 3, 7, 1000].map((attempt) => backoff.delayMs(attempt))).toEqual([999, 1999, 3999, 59_999, 59_999]);
  });

  it('takes anything from nothing to the bound: full jitter', () => {
    expect(createBackoff(bounds, () => 0).delayMs(5)).toBe(0);
    expect(createBackoff(bounds, () => 0.5).delayMs(2)).toBe(1000);
  });

  it('spreads the thirty attempts of the defaults over about two days', () => {
    const backoff = createBackoff({ baseMs: 5000, capMs: 21_600_000 }, () => 0.5);
    const sumMs = Array.from({ length: 29 }, (_, i) => backoff.delayMs(i + 1)).reduce((sum, delay) => sum + delay);
    expect(sumMs / 86_400_000).toBeGreaterThan(1.5);
    expect(sumMs / 86_400_000).toBeLessThan(2.5);
  });
});
