import { describe, expect, it } from '@jest/globals';
import { parseRedisInfo } from '../../src/shared/redis-info.js';
import { Progress } from '../../src/worker/watch/progress.js';
import { workerReadiness, type ReadinessDeps } from '../../src/worker/watch/worker-readiness.js';
import { EMPTY_QUEUE } from '../support/queue-counts.js';

const NOW_MS = 1_000_000;
const BOUNDS = { lookSilentMs: 10_000, probeSilentMs: 30_000, stalledMs: 20_000 };
const QUEUE = { ...EMPTY_QUEUE, waiting: 7, oldestWaitingAtMs: 1 };
const REDIS = parseRedisInfo('maxmemory_policy:noeviction');

function readiness(
  changes: { watch?: Partial<ReadinessDeps['watch']>; probe?: Partial<ReadinessDeps['probe']> } = {},
): ReturnType<typeof workerReadiness> {
  const watch = {
    last: { queues: [QUEUE], redis: REDIS },
    silentMs: 3000,
    readFailure: undefined,
    writeFailure: undefined,
    stalls: [],
    progresses: [new Progress('deliveries', 4, () => NOW_MS)],
    ...changes.watch,
  };
  const probe = { returnedAtMs: NOW_MS - 9000, tookMs: 2, ...changes.probe };
  return workerReadiness({ watch, probe, bounds: BOUNDS, nowMs: () => NOW_MS });
}

describe('a worker is ready', () => {
  it('when Redis answers, takes writes, and jobs come through', () => {
    expect(readiness()).toMatchObject({
      problems: [],
      warnings: [],
      facts: { deliveriesWaiting: 7, deliveriesSlots: 4, deliveriesRunning: 0, roundTripMs: 2 },
    });
  });

  it('when one look at Redis did not come through', () => {
    expect(readiness({ watch: { readFailure: 'Command timed out', silentMs: 9000 } }).problems).toEqual([]);
  });

  it('while a queue is paused, of which it warns', () => {
    const { problems, warnings } = readiness({
      watch: { last: { queues: [{ ...QUEUE, isPaused: true }], redis: REDIS } },
    });
    expect(problems).toEqual([]);
    expect(warnings).toEqual(['the queue deliveries is paused, and 7 jobs wait in it']);
  });

  it('on a Redis that may drop events, of which it warns', () => {
    const redis = parseRedisInfo('maxmemory_policy:allkeys-lru\r\naof_last_write_status:err');
    const { problems, warnings } = readiness({ watch: { last: { queues: [], redis } } });
    expect(problems).toEqual([]);
    expect(warnings).toHaveLength(2);
  });

  it('while a consumer stands still for less than the bound', () => {
    const stalls = [{ queue: 'deliveries', kind: 'not-taking', forMs: 19_000 }] as const;
    expect(readiness({ watch: { stalls } }).problems).toEqual([]);
  });
});

describe('a worker is not ready, and says why,', () => {
  it.each([
    ['before its first look came through', { watch: { silentMs: undefined } }, /not been reached yet/],
    ['when Redis is silent', { watch: { silentMs: 11_000, readFailure: 'timed out' } }, /for 11 s: timed out/],
    ['when Redis takes no writes', { watch: { writeFailure: 'OOM command' } }, /takes no writes: OOM command/],
    ['before a job came through', { probe: { returnedAtMs: undefined } }, /no job has come through .* yet/],
    ['when jobs come through no more', { probe: { returnedAtMs: NOW_MS - 31_000 } }, /for 31 s/],
    [
      'when it takes no jobs',
      { watch: { stalls: [{ queue: 'effects', kind: 'not-taking' as const, forMs: 20_000 }] } },
      /wait in the queue effects, and for 20 s/,
    ],
    [
      'when its slots hang',
      { watch: { stalls: [{ queue: 'effects', kind: 'hanging' as const, forMs: 20_000 }] } },
      /all slots of the queue effects are taken/,
    ],
  ])('%s', (_when, changes, wanted) => {
    const { problems } = readiness(changes);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(wanted);
  });
});
