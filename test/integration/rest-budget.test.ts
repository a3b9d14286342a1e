import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import {
  createRestBudget,
  type BudgetAnswer,
  type BudgetLimits,
  type RestBudget,
} from '../../src/shared/bitrix24/rest/rest-budget.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectPatiently, type Redis } from '../../src/shared/redis.js';
import { callsAbove, type TimedCall } from '../support/call-level.js';
import { silentLogger, useSharedRedis } from '../support/shared-redis.js';

const shared = useSharedRedis();
const connections: Redis[] = [];
afterAll(() => shared.close());
afterEach(() => {
  for (const redis of connections.splice(0)) redis.disconnect();
});

/** As another process has it: on a connection of its own. */
function budgetOf(standard: BudgetLimits, enterprise: BudgetLimits = standard): RestBudget {
  const redis = connectPatiently(singleRedis(shared.url), silentLogger);
  connections.push(redis);
  return createRestBudget({ redis, keys: shared.keys, limits: { standard, enterprise } });
}

let portals = 0;
function request(runKey: string, changes: object = {}) {
  const memberId = `portal-${portals}`;
  return { memberId, isEnterprise: false, method: 'profile', runKey, calls: 1, inPlaceMsMax: 0, ...changes };
}

/** So slow that what a test itself takes does not count. */
const INTERVAL_MS = 100_000;
const SLOW = { callsPerSecond: 1000 / INTERVAL_MS, burst: 2 };
const GO = { kind: 'go' };
const LATER = { kind: 'later' };

/** As if the time had passed: all that is kept of the portal lies further back. */
async function letPass(ms: number): Promise<void> {
  const { memberId } = request('');
  const [budgetKey, placesKey] = [shared.keys.restBudget(memberId), shared.keys.restPlaces(memberId)];
  for (const [field, value] of Object.entries(await shared.redis.hgetall(budgetKey))) {
    if (field === 'shift') continue;
    const [atMs, ...left] = value.split(' ');
    await shared.redis.hset(budgetKey, field, [Number(atMs) - ms, ...left].join(' '));
  }
  for (const run of await shared.redis.zrange(placesKey, '0', '-1')) await shared.redis.zincrby(placesKey, -ms, run);
}

function waitMs(answer: BudgetAnswer): number {
  return answer.kind === 'go' ? 0 : answer.ms;
}

describe('the budget of a portal', () => {
  it('lets the burst go at once, and then one call after the other', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 5 });
    const answers: BudgetAnswer[] = [];
    for (let run = 0; run < 8; run += 1) answers.push(await budget.take(request(`run-${run}`)));
    expect(answers.map(({ kind }) => kind).join(' ')).toBe('go go go go go later later later');
    const intervals = answers.slice(5).map((answer) => waitMs(answer) / INTERVAL_MS);
    expect(intervals.map(Math.ceil)).toEqual([1, 2, 3]);
    expect(intervals.map(Math.round)).toEqual([1, 2, 3]);
  });

  it('has more for an enterprise portal, and none of one portal is taken by another', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 1 }, { ...SLOW, burst: 3 });
    const large = { memberId: `large-${portals}`, isEnterprise: true };
    expect(await budget.take(request('a'))).toEqual(GO);
    expect(await budget.take(request('b'))).toMatchObject(LATER);
    for (const run of ['a', 'b', 'c']) expect(await budget.take(request(run, large))).toEqual(GO);
    expect(await budget.take(request('d', large))).toMatchObject(LATER);
  });

  it('keeps the place in line of who comes back, and lets nobody overtake', async () => {
    portals += 1;
    const budget = budgetOf(SLOW);
    for (const run of ['first', 'second']) await budget.take(request(run));
    const early = await budget.take(request('early'));
    const late = await budget.take(request('late'));
    // Again before its time: the same place, and no further one.
    const again = await budget.take(request('early'));
    expect(again).toMatchObject(LATER);
    expect(waitMs(again)).toBeLessThanOrEqual(waitMs(early));
    await letPass(waitMs(late));
    expect(await budget.take(request('newcomer'))).toMatchObject(LATER);
    expect(await budget.take(request('early'))).toEqual(GO);
    expect(await budget.take(request('late'))).toEqual(GO);
  });

  it('has all the calls of a run ready when it comes back to make them again', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 4 });
    for (let calls = 1; calls <= 4; calls += 1) expect(await budget.take(request('long', { calls }))).toEqual(GO);
    const answer = await budget.take(request('long', { calls: 4 }));
    expect(answer).toMatchObject(LATER);
    await letPass(waitMs(answer));
    expect(await budget.take(request('other'))).toMatchObject(LATER);
    for (let calls = 1; calls <= 4; calls += 1) expect(await budget.take(request('long', { calls }))).toEqual(GO);
  });

  it('lets wait in place who has not long to wait, or more calls than can be put off', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 1 });
    const inPlaceMsMax = INTERVAL_MS * 1.5;
    await budget.take(request('first'));
    expect(await budget.take(request('short', { inPlaceMsMax }))).toMatchObject({ kind: 'wait' });
    expect(await budget.take(request('long', { inPlaceMsMax }))).toMatchObject(LATER);
    expect(await budget.take(request('endless', { calls: 2 }))).toMatchObject({ kind: 'wait' });
  });

  it('gives up a place that nobody takes', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 1 });
    await budget.take(request('first'));
    const answer = await budget.take(request('gone'));
    await letPass(waitMs(answer) + 700_000);
    await budget.take(request('another'));
    expect(await shared.redis.zcard(shared.keys.restPlaces(request('').memberId))).toBe(0);
    expect(await shared.redis.hkeys(shared.keys.restBudget(request('').memberId))).not.toContain('run:gone');
  });

  it('is never exceeded by many processes at once, also when all of them come late', async () => {
    portals += 1;
    const limits = { callsPerSecond: 100, burst: 10 };
    const budgets = [budgetOf(limits), budgetOf(limits), budgetOf(limits), budgetOf(limits)];
    const went: TimedCall[] = [];
    const runs = Array.from({ length: 100 }, async (_, index) => {
      const budget = budgets[index % 4] ?? budgetOf(limits);
      for (;;) {
        const askedAtMs = Date.now();
        const answer = await budget.take(request(`run-${index}`));
        if (answer.kind === 'go') return void went.push({ askedAtMs, atMs: Date.now() });
        // The later half all sleep until the same time, as after a pause of the queue.
        await sleep(index < 50 ? answer.ms : Math.max(answer.ms, 700));
      }
    });
    await Promise.all(runs);
    expect(went).toHaveLength(100);
    expect(callsAbove(went, limits)).toBe(0);
  });

  it('counts as full when the portal says so, and keeps the order of those who wait', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 4 });
    for (let run = 0; run < 4; run += 1) await budget.take(request(`run-${run}`));
    await letPass(waitMs(await budget.take(request('waiting'))));
    // Two calls that were refused at the same time are one fact.
    await budget.penalize(request('').memberId, false);
    await budget.penalize(request('').memberId, false);
    const after = await budget.take(request('waiting'));
    const behind = await budget.take(request('behind'));
    expect(Math.round(waitMs(after) / INTERVAL_MS)).toBe(1);
    expect(Math.round(waitMs(behind) / INTERVAL_MS)).toBe(2);
    await letPass(waitMs(after));
    expect(await budget.take(request('waiting'))).toEqual(GO);
  });

  it('lets one method rest and the others go on', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 10 });
    await budget.block(request('').memberId, 'crm.item.list', 60_000);
    const answer = await budget.take(request('a', { method: 'crm.item.list', inPlaceMsMax: 1000 }));
    expect(answer).toMatchObject(LATER);
    expect(await budget.take(request('a'))).toEqual(GO);
    await letPass(60_000);
    expect(await budget.take(request('a', { method: 'crm.item.list' }))).toEqual(GO);
  });

  it('leaves nothing of a portal that was forgotten', async () => {
    portals += 1;
    const budget = budgetOf({ ...SLOW, burst: 1 });
    await budget.take(request('a'));
    await budget.take(request('b'));
    const { memberId } = request('');
    expect(await shared.redis.keys(`${shared.prefix}*${memberId}`)).toHaveLength(2);
    await budget.forget(memberId);
    expect(await shared.redis.keys(`${shared.prefix}*${memberId}`)).toEqual([]);
  });
});
