import { describe, expect, it } from '@jest/globals';
import { repeat } from '../../src/worker/watch/repeat.js';

const EVERY_MS = 60_000;

describe('what is repeated', () => {
  it('has stopped only when the run under way has ended', async () => {
    let end: () => void = () => undefined;
    const course: string[] = [];
    const repeated = repeat(EVERY_MS, async () => {
      await new Promise<void>((resolve) => (end = resolve));
      course.push('ended');
    });
    const stopped = repeated.stop().then(() => course.push('stopped'));
    await new Promise(setImmediate);
    end();
    await stopped;
    expect(course).toEqual(['ended', 'stopped']);
  });

  it('stops at once where no run is under way', async () => {
    const repeated = repeat(EVERY_MS, () => Promise.resolve());
    await new Promise(setImmediate);
    await expect(repeated.stop()).resolves.toBeUndefined();
  });
});
