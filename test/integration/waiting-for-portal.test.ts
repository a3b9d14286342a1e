import { afterAll, describe, expect, it } from '@jest/globals';
import { createPortalStore, emptyPortal } from '../../src/shared/portals.js';
import { createWaitingForPortal } from '../../src/worker/waiting-for-portal.js';
import { useSharedRedis } from '../support/shared-redis.js';
import { workerSealer } from '../support/worker-bench.js';

const shared = useSharedRedis();
const portals = createPortalStore({ ...shared, sealer: workerSealer });
afterAll(() => shared.close());

describe('the jobs that wait for a suspended portal', () => {
  it('are bounded, and one that waits already keeps its place', async () => {
    const waiting = createWaitingForPortal({ ...shared, portals, ageMsMax: 60_000, now: Date.now, max: 2 });
    expect(await waiting.note('full', 'a')).toBe(true);
    expect(await waiting.note('full', 'b')).toBe(true);
    expect(await waiting.note('full', 'c')).toBe(false);
    expect(await waiting.note('full', 'a')).toBe(true);
    await waiting.leave('full', ['a']);
    expect(await waiting.note('full', 'c')).toBe(true);
    expect(await waiting.jobsOf('full')).toEqual(['b', 'c']);
  });

  it('are forgotten when they are older than any job can be', async () => {
    let nowMs = 1000;
    const waiting = createWaitingForPortal({ ...shared, portals, ageMsMax: 60_000, now: () => nowMs, max: 1 });
    await waiting.note('old', 'a');
    nowMs += 60_001;
    expect(await waiting.note('old', 'b')).toBe(true);
    expect(await waiting.jobsOf('old')).toEqual(['b']);
  });

  it('are told when their wait is over', async () => {
    const waiting = createWaitingForPortal({ ...shared, portals, ageMsMax: 60_000, now: Date.now });
    const suspension = { reason: 'payment', sinceMs: 1, probeAtMs: null } as const;
    await portals.save({ ...emptyPortal('unpaid'), suspension });
    expect(await waiting.isOver('unpaid')).toBe(false);
    await portals.save(emptyPortal('unpaid'));
    expect(await waiting.isOver('unpaid')).toBe(true);
  });
});
