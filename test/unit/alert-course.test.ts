import { beforeEach, describe, expect, it } from '@jest/globals';
import { AlertCourse, type AlertChange } from '../../src/shared/alerts/alert-course.js';

const LOOK_MS = 5000;

let course: AlertCourse;
let nowMs: number;

beforeEach(() => {
  course = new AlertCourse(10_000);
  nowMs = 1_000_000;
});

/** Looks every five seconds for so long, and tells what changed. */
function look(holds: boolean, forMs: number): AlertChange[] {
  const changes: AlertChange[] = [];
  for (const untilMs = nowMs + forMs; nowMs < untilMs; nowMs += LOOK_MS) {
    const change = course.see(holds, nowMs);
    if (change) changes.push(change);
  }
  return changes;
}

describe('AlertCourse', () => {
  it('fires once its rule has held for long enough, and not sooner', () => {
    expect(look(true, 10_000)).toEqual([]);
    expect(look(true, 5000)).toEqual(['fires']);
    expect(look(true, 600_000)).toEqual([]);
  });

  it('knows since when its rule holds', () => {
    look(false, 60_000);
    const beganMs = nowMs;
    look(true, 60_000);
    expect(course.sinceMs).toBe(beganMs);
  });

  it('begins anew where the rule did not hold for one look in between', () => {
    look(true, 10_000);
    look(false, 5000);
    expect(look(true, 10_000)).toEqual([]);
  });

  it('is over when the rule has not held for half a minute', () => {
    look(true, 15_000);
    expect(look(false, 25_000)).toEqual([]);
    expect(look(true, 5000)).toEqual([]);
    expect(look(false, 25_000)).toEqual([]);
    expect(look(false, 5000)).toEqual(['resolves']);
  });

  it('does not count the time of a suspended process, neither towards firing nor towards the end', () => {
    look(true, 5000);
    nowMs += 3_600_000;
    expect(look(true, 10_000)).toEqual([]);
    expect(look(true, 5000)).toEqual(['fires']);
    nowMs += 3_600_000;
    expect(look(false, 25_000)).toEqual([]);
    expect(look(false, 10_000)).toEqual(['resolves']);
  });

  it('is told a bounded number of times, however often it comes and goes', () => {
    const changes: AlertChange[] = [];
    for (const untilMs = nowMs + 3_000_000; nowMs < untilMs;)
      changes.push(...look(true, 15_000), ...look(false, 40_000));
    expect(changes).toEqual(['fires', 'resolves', 'fires', 'resolves', 'fires', 'resolves', 'fires']);
    expect(look(false, 620_000)).toEqual(['resolves']);
  });
});
