import { describe, expect, it } from '@jest/globals';
import { agoOf, isoOrNull, momentOf, spanOf } from '../../src/cli/moment.js';
import { tableLines } from '../../src/cli/text-table.js';

const NOW = Date.UTC(2026, 0, 31, 9, 0, 0);

describe('a moment', () => {
  it.each([
    [0, '0 s'],
    [119_000, '119 s'],
    [120_000, '2 min'],
    [7_199_000, '119 min'],
    [7_200_000, '2 h'],
    [172_799_000, '47 h'],
    [172_800_000, '2 d'],
  ])('of %i ms is told as %s: in the largest unit of which there are two', (ms, span) => {
    expect(spanOf(ms)).toBe(span);
  });

  it('says when it was, or will be, and never where there was none', () => {
    expect(momentOf(NOW - 180_000, NOW)).toBe('2026-01-31T08:57:00Z (3 min ago)');
    expect(agoOf(NOW + 180_000, NOW)).toBe('in 3 min');
    expect(momentOf(0, NOW)).toBe('never');
    expect([isoOrNull(0), isoOrNull(NOW)]).toEqual([null, '2026-01-31T09:00:00Z']);
  });
});

describe('a table', () => {
  it('is as wide as it must be, and ends no line with blanks', () => {
    expect(
      tableLines([
        ['A', 'B'],
        ['long', 'x'],
        ['y', ''],
      ]),
    ).toEqual(['A     B', 'long  x', 'y']);
  });
});
