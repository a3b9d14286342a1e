import { beforeEach, describe, expect, it } from '@jest/globals';
import type { QueueCounts } from '../../src/shared/queue-counts.js';
import { Progress } from '../../src/worker/watch/progress.js';
import { StallWatch } from '../../src/worker/watch/stall-watch.js';
import { EMPTY_QUEUE } from '../support/queue-counts.js';

const LOOK_EVERY_MS = 5000;
const RUN_MS_MAX = 30_000;
const WAITING: QueueCounts = { ...EMPTY_QUEUE, waiting: 3 };

let nowMs: number;
let progress: Progress;
let watch: StallWatch;

beforeEach(() => {
  nowMs = 1_000_000;
  progress = new Progress('deliveries', 2, () => nowMs);
  watch = new StallWatch({ progress, runMsMax: RUN_MS_MAX });
});

/** Looks every five seconds; `between` is done before each. */
function look(forMs: number, counts: QueueCounts, between: () => void = () => undefined): void {
  for (const endsAtMs = nowMs + forMs; nowMs < endsAtMs;) {
    nowMs += LOOK_EVERY_MS;
    between();
    watch.see(counts, { nowMs, timeMs: nowMs });
  }
}

function stalledSeconds(): number {
  return (watch.stall?.forMs ?? 0) / 1000;
}

describe('a consumer with free slots stands still', () => {
  it('when jobs wait at every look and it begins none', () => {
    look(65_000, WAITING);
    expect(watch.stall).toEqual({ kind: 'not-taking', forMs: 60_000 });
  });

  it('when a job stays due that nobody wakes up for', () => {
    look(65_000, { ...EMPTY_QUEUE, delayed: 1, firstDueAtMs: nowMs });
    expect(stalledSeconds()).toBeGreaterThanOrEqual(45);
  });

  it('while one long run goes on, if the others are not taken', () => {
    progress.begins();
    look(65_000, WAITING);
    expect(watch.stall?.kind).toBe('not-taking');
  });
});

describe('a consumer with free slots does not stand still', () => {
  it('when nothing waits, and nothing is due', () => {
    look(600_000, { ...EMPTY_QUEUE, delayed: 9, firstDueAtMs: nowMs + 1_000_000 });
    expect(watch.stall).toBeUndefined();
  });

  it('when it begins a job now and then, however much waits', () => {
    look(600_000, WAITING, () => {
      if (nowMs % 15_000 !== 0) return;
      progress.begins();
      progress.ends();
    });
    expect(stalledSeconds()).toBeLessThan(20);
  });

  it('when other workers take the jobs, so that not every look finds one', () => {
    for (let round = 0; round < 100; round += 1) {
      look(10_000, WAITING);
      look(5000, EMPTY_QUEUE);
    }
    look(10_000, WAITING);
    expect(stalledSeconds()).toBeLessThan(20);
  });

  it('when its queue is paused', () => {
    look(600_000, { ...WAITING, isPaused: true });
    expect(watch.stall).toBeUndefined();
  });

  it('as long as Redis is away, and for the time from then on after that', () => {
    look(55_000, WAITING);
    watch.miss();
    expect(watch.stall).toBeUndefined();
    look(20_000, WAITING);
    expect(stalledSeconds()).toBe(15);
  });

  it('for the time in which the whole process was frozen', () => {
    look(10_000, WAITING);
    nowMs += 600_000;
    look(15_000, WAITING);
    expect(stalledSeconds()).toBeLessThan(20);
  });

  it('at its start on a long backlog', () => {
    look(5000, { ...WAITING, waiting: 1_000_000, oldestWaitingAtMs: 1 });
    expect(watch.stall).toBeUndefined();
  });
});

describe('a consumer whose slots are all taken', () => {
  beforeEach(() => {
    progress.begins();
    progress.begins();
  });

  it('hangs when none has become free for longer than a run may last', () => {
    look(RUN_MS_MAX + 65_000, WAITING);
    expect(watch.stall).toEqual({ kind: 'hanging', forMs: 60_000 });
  });

  it('hangs also when nothing else waits', () => {
    look(RUN_MS_MAX + 65_000, EMPTY_QUEUE);
    expect(watch.stall?.kind).toBe('hanging');
  });

  it('does not hang while runs may last as long as these', () => {
    look(RUN_MS_MAX, WAITING);
    expect(watch.stall).toBeUndefined();
  });

  it('does not hang while slots become free and are taken again', () => {
    look(600_000, WAITING, () => {
      if (nowMs % 30_000 !== 0) return;
      progress.ends();
      progress.begins();
    });
    expect(watch.stall).toBeUndefined();
  });

  it('does not hang while Redis, for which the runs wait, is away', () => {
    look(RUN_MS_MAX + 65_000, WAITING);
    watch.miss();
    expect(watch.stall).toBeUndefined();
    look(RUN_MS_MAX, WAITING);
    expect(watch.stall).toBeUndefined();
  });

  it('is not blamed at once for what waited meanwhile, when a slot becomes free', () => {
    look(RUN_MS_MAX, WAITING);
    progress.ends();
    look(10_000, WAITING);
    expect(stalledSeconds()).toBeLessThan(10);
  });
});
