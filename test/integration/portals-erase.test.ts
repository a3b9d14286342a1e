import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { confirmErasure } from '../../src/cli/portals/confirm-erasure.js';
import type { Delivery } from '../../src/shared/delivery.js';
import { emptyPortal } from '../../src/shared/portals.js';
import { runCommand, type CommandRun, type CommandRunOptions } from '../support/command-run.js';
import { APPLICATION_TOKEN, MEMBER_ID } from '../support/deliveries.js';
import { keysHolding } from '../support/redis-content.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench } from '../support/worker-bench.js';

const DOMAIN = 'some-domain.bitrix24.com';
const OTHER = 'another-portal';
/** Of the fixture's message, and of the bench's receiver. */
const NAME = 'ONIMCONNECTORMESSAGEADD';

let bench: WorkerBench;

beforeEach(async () => {
  bench = await WorkerBench.open();
});
afterEach(() => bench.close());

async function install(memberId: string): Promise<void> {
  await bench.portals.save({
    ...emptyPortal(memberId),
    domain: DOMAIN,
    applicationTokens: [{ token: APPLICATION_TOKEN, receivedBeforeMs: null }],
    oauth: { accessToken: 'access', refreshToken: 'refresh', userId: 1, generation: 1 },
    installedAtMs: Date.now() - 1000,
  });
}

/** A worker to which portals are known by their records alone. */
function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
  return bench.start({ APPLICATION_TOKENS: '', ...env });
}

function message(id: number, changes: Readonly<Record<string, string>> = {}): ReturnType<WorkerBench['deliver']> {
  return bench.deliver(NAME, { 'data[MESSAGES][0][im][message_id]': String(id), ...changes });
}

/** The status by which the receiver answers a message of this id. */
function answerById(statuses: Readonly<Record<number, number>>): void {
  bench.receiver.answer = ({ raw }) => {
    const id = /"message_id":"?(\d+)/.exec(raw)?.[1];
    return { status: statuses[Number(id)] ?? 204 };
  };
}

function erase(options: CommandRunOptions & { yes?: boolean } = {}): Promise<CommandRun> {
  const { yes = true, ...rest } = options;
  return runCommand(bench.shared, (parts) => confirmErasure({ memberId: MEMBER_ID, json: true, yes }, parts), rest);
}

/** Answers what lets the receiver answer at last. */
async function messageUnderWay(): Promise<{ delivery: Delivery; answer: () => void }> {
  let answer = (): void => undefined;
  bench.receiver.answer = () =>
    new Promise((resolve) => {
      answer = () => resolve({ status: 503 });
    });
  const delivery = await message(2);
  await bench.forwards(1);
  return { delivery, answer: () => answer() };
}

/** Keys of this test that hold anything of the portal. */
async function left(): Promise<readonly string[]> {
  const { url, prefix } = bench.shared;
  const holding = [...(await keysHolding(url, MEMBER_ID)), ...(await keysHolding(url, DOMAIN))];
  return holding.filter((key) => key.startsWith(prefix));
}

describe('b24-events portals erase', () => {
  it('leaves nothing of the portal: record, connectors, jobs that ended, wait, are put off or were rejected', async () => {
    await install(MEMBER_ID);
    await start({ EFFECT_BACKOFF_MS: '86400000', EFFECT_BACKOFF_MS_MAX: '86400000' });
    answerById({ 400: 400, 503: 503 });
    await bench.outcomeOf(await message(200));
    await bench.outcomeOf(await message(400));
    await bench.outcomeOf(await message(503));
    await bench.outcomeOf(await message(1, { 'auth[application_token]': 'forged' }));
    await bench.outcomeOf(await bench.deliver('ONIMCONNECTORSTATUSDELETE'));
    await waitUntil('an effect failed', async () => (await bench.effects.getFailedCount()) === 1);
    await waitUntil('another is put off', async () => (await bench.effects.getDelayedCount()) === 1);
    await waitUntil('the forgery is set aside', async () => (await bench.rejected.getFailedCount()) === 1);
    await bench.stop();
    await message(2);
    // As BullMQ notes the reason of a failure, which may name a portal.
    const entry = ['event', 'failed', 'failedReason', `REST_REFUSED: ${DOMAIN}`];
    await bench.shared.redis.xadd(bench.effects.toKey('events'), '*', ...entry);

    const { exitCode, said, lines } = await erase();
    expect(exitCode).toBe(0);
    expect(said[0]).toContain(
      'a record with its tokens; states of connectors: 1; jobs: 1 waiting, 1 delayed, 0 active, 2 failed, 5 completed',
    );
    expect(JSON.parse(lines.join(''))).toEqual({
      member_id: MEMBER_ID,
      erased: {
        record: true,
        connector_lines: 1,
        jobs: { waiting: 1, delayed: 1, active: 0, failed: 2, completed: 5 },
      },
      still_under_way: 0,
      cancelled_before: expect.any(String),
      skipped_as_newer: 0,
    });
    expect(await left()).toEqual([]);
    expect(await bench.shared.redis.exists(bench.shared.keys.portalRemoved(MEMBER_ID))).toBe(1);
  });

  it('leaves empty jobs in the line, which end as cancelled and reach nobody', async () => {
    await install(MEMBER_ID);
    await start({ EFFECT_BACKOFF_MS: '86400000', EFFECT_BACKOFF_MS_MAX: '86400000' });
    bench.receiver.answer = () => ({ status: 503 });
    await message(1);
    await waitUntil('an effect is put off', async () => (await bench.effects.getDelayedCount()) === 1);
    await bench.stop();
    await (await bench.effects.getDelayed())[0]?.promote();
    const waiting = await message(2);
    await erase();
    expect(await left()).toEqual([]);
    bench.receiver.clear();
    await start();
    expect(await bench.outcomeOf(waiting)).toBe('cancelled');
    await waitUntil('the effect has ended', async () => (await bench.effects.getCompletedCount()) === 1);
    expect((await bench.effects.getCompleted())[0]?.returnvalue).toEqual({ outcome: 'cancelled' });
    expect(bench.receiver.received).toEqual([]);
    expect(await left()).toEqual([]);
  });

  it('waits for what is under way, and leaves nothing of how it ended', async () => {
    await install(MEMBER_ID);
    await start({ EFFECT_TIMEOUT_MS: '20000' });
    const { delivery, answer } = await messageUnderWay();
    const erasure = erase({ env: { EFFECT_TIMEOUT_MS: '20000' } });
    await waitUntil('its job is empty', async () => (await left()).length === 0);
    answer();
    expect((await erasure).exitCode).toBe(0);
    expect(await left()).toEqual([]);
    expect(await bench.deliveries.getJob(delivery.id)).toBeUndefined();
    // Nothing was handed over to a job of its own.
    expect(await bench.effects.getJobCountByTypes('wait', 'delayed', 'failed', 'completed')).toBe(0);
  });

  it('says so, and ends with 1, when something is still under way at the end of its time', async () => {
    await install(MEMBER_ID);
    await start({ EFFECT_TIMEOUT_MS: '20000' });
    const { answer } = await messageUnderWay();
    const { exitCode, lines } = await erase({ env: { EFFECT_TIMEOUT_MS: '10' } });
    answer();
    expect(exitCode).toBe(1);
    expect(JSON.parse(lines.join(''))).toMatchObject({ still_under_way: 1 });
  });

  it('erases what is parked of a portal that was never installed', async () => {
    await start();
    const parked = await message(2);
    await waitUntil('it is parked', async () => (await bench.deliveries.getJobState(parked.id)) === 'delayed');
    expect((await erase()).exitCode).toBe(0);
    expect(await left()).toEqual([]);
  });

  it('cancels what was received before it and comes out of a journal after it', async () => {
    await install(MEMBER_ID);
    await start();
    await erase();
    const late = await bench.deliver(NAME, {}, { receivedAtMs: Date.now() - 60_000 });
    expect(await bench.outcomeOf(late)).toBe('cancelled');
    expect(await left()).toEqual([]);
  });

  it('keeps what is received after it, for the app may be installed anew', async () => {
    await install(MEMBER_ID);
    const later = await bench.deliver(NAME, {}, { receivedAtMs: Date.now() + 60_000 });
    await erase();
    expect((await bench.deliveries.getJob(later.id))?.data.auth.memberId).toBe(MEMBER_ID);
  });

  it('touches nothing of another portal', async () => {
    await install(MEMBER_ID);
    await install(OTHER);
    await start();
    const other = { 'auth[member_id]': OTHER };
    for (const name of [NAME, 'ONIMCONNECTORSTATUSDELETE']) await bench.outcomeOf(await bench.deliver(name, other));
    const before = await keysHolding(bench.shared.url, OTHER);
    await erase();
    expect(new Set(await keysHolding(bench.shared.url, OTHER))).toEqual(new Set(before));
  });
});

describe('the question of portals erase', () => {
  it('is asked at a terminal, and only yes erases', async () => {
    await install(MEMBER_ID);
    expect(await erase({ yes: false, answer: 'y' })).toMatchObject({ exitCode: 1, lines: [] });
    expect(await bench.portals.find(MEMBER_ID)).toBeDefined();
    expect(await erase({ yes: false, answer: 'yes' })).toMatchObject({ exitCode: 0 });
    expect(await bench.portals.find(MEMBER_ID)).toBeUndefined();
  });

  it('is a refusal where nobody can be asked', async () => {
    await install(MEMBER_ID);
    await expect(erase({ yes: false })).rejects.toThrow(/--yes/);
    expect(await bench.portals.find(MEMBER_ID)).toBeDefined();
  });

  it('is not asked of a portal that APPLICATION_TOKENS names: its events would still be believed', async () => {
    const env = { APPLICATION_TOKENS: `${MEMBER_ID}=token` };
    await expect(erase({ env })).rejects.toThrow(/APPLICATION_TOKENS/);
  });
});
