import { describe, expect, it } from '@jest/globals';
import { DrainPosition } from '../../src/api/drain-position.js';

describe('a position of the drain', () => {
  it('tells what was confirmed by a time, and nothing that came later', () => {
    const position = new DrainPosition();
    position.confirm(10, 100);
    position.confirm(20, 200);
    expect([99, 100, 199, 200].map((timeMs) => position.confirmedBy(timeMs))).toEqual([undefined, 10, 10, 20]);
  });

  it('tells nothing twice', () => {
    const position = new DrainPosition();
    position.confirm(10, 100);
    position.purge(10);
    expect(position.confirmedBy(1000)).toBeUndefined();
    expect(position.purged).toBe(10);
  });

  it('goes back to the first record that is held, when Redis is another one', () => {
    const position = new DrainPosition();
    position.confirm(10, 100);
    position.purge(10);
    position.confirm(30, 200);
    expect(position.rewind()).toBe(20);
    expect(position.confirmed).toBe(10);
    expect(position.confirmedBy(1000)).toBeUndefined();
  });

  it('goes on where another process was, if that spoke to the same Redis, and holds what it had confirmed', () => {
    const progress = { confirmed: 30, purged: 10, redis: 'this' };
    const position = DrainPosition.resume(progress, 'this', 500);
    expect([position.purged, position.confirmed]).toEqual([10, 30]);
    expect([499, 500].map((timeMs) => position.confirmedBy(timeMs))).toEqual([undefined, 30]);
  });

  it.each([
    ['that spoke to another Redis', { confirmed: 30, purged: 10, redis: 'another' }, 10],
    ['of which nothing is known', undefined, 0],
  ])('begins with the first record that is left of a process %s', (_what, progress, confirmed) => {
    expect(DrainPosition.resume(progress, 'this', 500).confirmed).toBe(confirmed);
  });
});
