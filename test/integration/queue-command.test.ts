import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { countQueues } from '../../src/cli/queue/count-queues.js';
import { listFailed } from '../../src/cli/queue/list-failed.js';
import { pauseQueues } from '../../src/cli/queue/pause-queues.js';
import { runCommand, type CommandRun } from '../support/command-run.js';
import { MEMBER_ID } from '../support/deliveries.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench } from '../support/worker-bench.js';

const NAME = 'ONIMCONNECTORMESSAGEADD';

let bench: WorkerBench;

beforeEach(async () => {
  bench = await WorkerBench.open();
});
afterEach(() => bench.close());

function message(id: number): ReturnType<WorkerBench['deliver']> {
  return bench.deliver(NAME, { 'data[MESSAGES][0][im][message_id]': String(id) });
}

const counts = (json = true): Promise<CommandRun> => runCommand(bench.shared, (parts) => countQueues({ json }, parts));

const switchTo = (isPause: boolean, json = false): Promise<CommandRun> =>
  runCommand(bench.shared, (parts) => pauseQueues({ queues: ['deliveries', 'effects'], isPause, json }, parts));

const failed = (limit: number, json = true): Promise<CommandRun> =>
  runCommand(bench.shared, (parts) => listFailed({ queues: ['deliveries', 'effects'], limit, json }, parts));

function told({ lines }: CommandRun): unknown {
  expect(lines).toHaveLength(1);
  return JSON.parse(lines.join(''));
}

describe('b24-events queue', () => {
  it('counts each queue, says since when the oldest waits, and which workers live', async () => {
    const { receivedAtMs } = await message(1);
    await message(2);
    const at = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const empty = {
      waiting: 0,
      active: 0,
      delayed: 0,
      failed: 0,
      completed: 0,
      oldest_waiting_since: null,
      paused: false,
    };
    expect(told(await counts())).toEqual({
      queues: [
        { ...empty, queue: 'deliveries', waiting: 2, oldest_waiting_since: at },
        { ...empty, queue: 'effects' },
        { ...empty, queue: 'rejected' },
      ],
      workers: [],
    });
    expect(Date.now() - receivedAtMs).toBeLessThan(60_000);
    const { lines } = await counts(false);
    expect(lines[1]).toMatch(/^deliveries +2 +0 +0 +0 +0 +\d+ s +-$/);
    expect(lines[4]).toMatch(/^no worker has told of itself lately: /);

    await bench.start();
    await waitUntil('the worker is seen', async () => {
      const { workers } = told(await counts()) as { workers: { pid: number }[] };
      return workers.some(({ pid }) => pid === process.pid);
    });
  });

  it('pauses what workers take, not what comes in, and all of it runs after the resume', async () => {
    await bench.start();
    await bench.outcomeOf(await message(1));
    expect((await switchTo(true)).lines).toEqual([
      'deliveries: paused; what comes waits until `queue resume`',
      'effects: paused; what comes waits until `queue resume`',
    ]);
    const later = await Promise.all([message(2), message(3), message(4)]);
    // Another worker, that starts while it is paused.
    await bench.stop();
    await bench.start();
    expect(told(await counts())).toMatchObject({
      queues: [
        { queue: 'deliveries', waiting: 3, paused: true },
        { queue: 'effects', paused: true },
        { paused: false },
      ],
    });
    expect(bench.receiver.received).toHaveLength(1);
    await switchTo(false);
    for (const delivery of later) expect(await bench.outcomeOf(delivery)).toBe('done');
    expect(bench.receiver.received).toHaveLength(4);
  });

  it('answers pause and resume as JSON, and again is harmless', async () => {
    const paused = {
      queues: [
        { queue: 'deliveries', paused: true },
        { queue: 'effects', paused: true },
      ],
    };
    expect(told(await switchTo(true, true))).toEqual(paused);
    expect(told(await switchTo(true, true))).toEqual(paused);
    expect(told(await switchTo(false, true))).toMatchObject({ queues: [{ paused: false }, { paused: false }] });
    expect(told(await switchTo(false, true))).toMatchObject({ queues: [{ paused: false }, { paused: false }] });
  });
});

describe('b24-events queue failed', () => {
  it('tells the newest first, with what failed and why, as many as are asked for', async () => {
    await bench.start();
    bench.receiver.answer = () => ({ status: 400 });
    for (const id of [1, 2, 3]) {
      await bench.outcomeOf(await message(id));
      await waitUntil('its effect has failed', async () => (await bench.effects.getFailedCount()) === id);
    }
    const quarantined = await bench.deliver(NAME, { 'data[LINE]': 'none' });
    await bench.outcomeOf(quarantined);
    const { failed: jobs } = told(await failed(3)) as { failed: Record<string, unknown>[] };
    expect(jobs).toHaveLength(3);
    expect(jobs[0]).toMatchObject({ queue: 'deliveries', code: 'DATA_INVALID', effect: null, job_id: quarantined.id });
    expect(jobs[1]).toMatchObject({
      queue: 'effects',
      code: 'EFFECT_REFUSED',
      effect: 'forward',
      event: NAME,
      member_id: MEMBER_ID,
      reason: expect.stringMatching(/^EFFECT_REFUSED: /),
    });
    const { lines } = await failed(3, false);
    expect(lines).toHaveLength(4);
    expect(lines[2]).toMatch(/^\d+ s ago +\d+ s ago +effects +EFFECT_REFUSED +forward +ONIMCONNECTORMESSAGEADD +bac1/);
  });

  it('says where nothing has failed', async () => {
    expect((await failed(20, false)).lines).toEqual(['no failed job is kept']);
  });

  it('points to rejected where nothing was named and something lies there', async () => {
    await bench.start();
    await bench.deliver(NAME, { 'data[MESSAGES][0][im][message_id]': '1', 'auth[application_token]': 'forged' });
    await waitUntil('it is rejected', async () => (await failed(20, false)).lines.length === 2);
    expect((await failed(20, false)).lines.at(-1)).toBe(
      'failed in rejected: 1; they are listed by: queue failed rejected',
    );
  });
});
