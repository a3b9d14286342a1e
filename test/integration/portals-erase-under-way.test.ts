import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { confirmErasure } from '../../src/cli/portals/confirm-erasure.js';
import type { Delivery } from '../../src/shared/delivery.js';
import { erased } from '../../src/shared/erased-delivery.js';
import { JobError } from '../../src/shared/errors.js';
import { emptyPortal } from '../../src/shared/portals.js';
import { startConsumer, type Consumer, type JobResult } from '../../src/shared/queues-consumer.js';
import { effectJobId } from '../../src/shared/queues.js';
import { singleRedis } from '../../src/shared/redis-address.js';
import { connectPatiently, type Redis } from '../../src/shared/redis.js';
import type { Effect, EffectRun } from '../../src/worker/effects/effect.js';
import { runCommand, type CommandRun } from '../support/command-run.js';
import { APPLICATION_TOKEN, MEMBER_ID } from '../support/deliveries.js';
import { keysHolding } from '../support/redis-content.js';
import { silentLogger } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';
import { WorkerBench } from '../support/worker-bench.js';

const NAME = 'ONIMCONNECTORMESSAGEADD';
const TEXT = 'the words of a customer';
/** Of the effect of these tests. */
const STEPS = 'steps';

let bench: WorkerBench;
let consumer: Consumer | undefined;
let connection: Redis | undefined;

beforeEach(async () => {
  bench = await WorkerBench.open();
  await install();
});
afterEach(async () => {
  await consumer?.stop(1000);
  connection?.disconnect();
  consumer = undefined;
  connection = undefined;
  await bench.close();
});

function install(): Promise<void> {
  return bench.portals.save({
    ...emptyPortal(MEMBER_ID),
    applicationTokens: [{ token: APPLICATION_TOKEN, receivedBeforeMs: null }],
    installedAtMs: Date.now() - 1000,
  });
}

function erase(): Promise<CommandRun> {
  return runCommand(bench.shared, (parts) => confirmErasure({ memberId: MEMBER_ID, json: true, yes: true }, parts));
}

async function holding(text: string): Promise<readonly string[]> {
  return (await keysHolding(bench.shared.url, text)).filter((key) => key.startsWith(bench.shared.prefix));
}

/** Opened by the test; says when somebody waits at it. */
function gate(): { wait: () => Promise<void>; open: () => void; isReached: () => boolean } {
  let open = (): void => undefined;
  let reached = false;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  const wait = (): Promise<void> => {
    reached = true;
    return opened;
  };
  return { wait, open: () => open(), isReached: () => reached };
}

/** In the place of a worker, of an older release perhaps: it looks at nothing, and ends its job as the test says. */
function takeJobs(queue: 'deliveries' | 'effects', work: () => Promise<JobResult<unknown>>): void {
  connection = connectPatiently(singleRedis(bench.shared.url), silentLogger);
  const keep = { completedSeconds: 60, failedSeconds: 60 };
  const base = { redis: connection, prefix: bench.shared.prefix, logger: silentLogger, concurrency: 1, keep };
  consumer = startConsumer<unknown>({ ...base, queue, process: work });
}

/** With an effect beside those that are configured. */
function startWith(run: (run: EffectRun) => Promise<void>, wants = (): boolean => true): Promise<void> {
  const { redis, keys } = bench.shared;
  const effect: Effect = {
    name: STEPS,
    wants,
    run,
    afterDone: async (eventId) => void (await redis.del(keys.once(eventId, STEPS))),
  };
  return bench.start({ APPLICATION_TOKENS: '', EFFECT_TIMEOUT_MS: '20000' }, { effects: [effect] });
}

async function noteStep(eventId: string): Promise<void> {
  await bench.shared.redis.hset(bench.shared.keys.once(eventId, STEPS), 'send', 'ended s1.of-a-customer');
}

/** All that a worker sees of an erasure. */
function noteRemoval(): Promise<boolean> {
  return bench.portals.remove(MEMBER_ID, { receivedAtMs: Date.now() + 1000, deliveryId: 'none', isClean: true });
}

function hasSteps(eventId: string): Promise<number> {
  return bench.shared.redis.exists(bench.shared.keys.once(eventId, STEPS));
}

async function addEffectJob(delivery: Delivery): Promise<string> {
  const jobId = effectJobId(delivery.eventId, STEPS, delivery.id);
  const data = { delivery, eventId: delivery.eventId, effect: STEPS, attemptsBefore: 1 };
  await bench.effects.add(STEPS, data, { jobId, attempts: 5, backoff: { type: 'custom' } });
  return jobId;
}

describe('b24-events portals erase, while jobs are under way', () => {
  it.each([
    { kind: 'failed', reason: TEXT },
    { kind: 'retry', reason: TEXT, delayMs: 60_000 },
  ] as const)('leaves nothing of how an effect ended: $kind', async (result) => {
    const delivery = await bench.deliver(NAME);
    await bench.deliveries.remove(delivery.id);
    const jobId = await addEffectJob(delivery);
    const { wait, open, isReached } = gate();
    takeJobs('effects', async () => {
      await wait();
      return result;
    });
    await waitUntil('it is under way', isReached);
    const erasure = erase();
    await waitUntil('its job is empty', async () => (await holding(MEMBER_ID)).length === 0);
    open();
    expect((await erasure).exitCode).toBe(0);
    expect(await holding(TEXT)).toEqual([]);
    expect(await bench.effects.getJob(jobId)).toBeUndefined();
  });

  it('leaves nothing of a retry that says why it fails while it is erased', async () => {
    const { wait, open, isReached } = gate();
    let runs = 0;
    await startWith(async ({ event }) => {
      runs += 1;
      if (runs === 1) throw new JobError('HANDLER_LATER');
      await wait();
      throw new JobError('HANDLER_NEVER', `${TEXT}: ${JSON.stringify(event)}`);
    });
    await bench.deliver(NAME);
    await waitUntil('it is tried again', isReached);
    const erasure = erase();
    await waitUntil('its job is empty', async () => (await holding(MEMBER_ID)).length === 0);
    open();
    expect((await erasure).exitCode).toBe(0);
    expect([...(await holding(TEXT)), ...(await holding(MEMBER_ID))]).toEqual([]);
  });

  it('removes the results of steps, also one that ends after the job was emptied', async () => {
    const delivery = await bench.deliver(NAME);
    const { redis, keys } = bench.shared;
    await redis.hset(keys.event(delivery.eventId), { owner: delivery.id, began: '1', [`effect:${STEPS}`]: 'running' });
    await noteStep(delivery.eventId);
    const { wait, open, isReached } = gate();
    takeJobs('deliveries', async () => {
      await wait();
      await noteStep(delivery.eventId);
      return { kind: 'failed', reason: TEXT };
    });
    await waitUntil('it is under way', isReached);
    const erasure = erase();
    await waitUntil('its results are gone', async () => (await hasSteps(delivery.eventId)) === 0);
    open();
    await erasure;
    expect(await hasSteps(delivery.eventId)).toBe(0);
    expect(await holding(TEXT)).toEqual([]);
  });

  it.each(['', '~1', '~16'])(
    'removes the results of a delivery whose worker died, of its event or a later twin (%s)',
    async (twin) => {
      const delivery = await bench.deliver(NAME);
      const { redis, keys } = bench.shared;
      const eventId = delivery.eventId + (twin === '~16' ? `~${delivery.id}` : twin);
      await redis.hset(keys.event(eventId), { owner: delivery.id, began: '1', [`effect:${STEPS}`]: 'running' });
      await noteStep(eventId);
      await erase();
      expect(await hasSteps(eventId)).toBe(0);
      expect(await redis.exists(keys.event(eventId))).toBe(0);
    },
  );

  it('takes what an ingress stamped whose clock is 25 s ahead, and says how many are newer', async () => {
    const ahead = await bench.deliver(NAME, {}, { receivedAtMs: Date.now() + 25_000 });
    const newer = await bench.deliver(NAME, {}, { receivedAtMs: Date.now() + 90_000 });
    const { lines } = await erase();
    expect((await bench.deliveries.getJob(ahead.id))?.data.auth.memberId).toBe('');
    expect((await bench.deliveries.getJob(newer.id))?.data.auth.memberId).toBe(MEMBER_ID);
    expect(JSON.parse(lines.join(''))).toMatchObject({ skipped_as_newer: 1 });
  });
});

describe('a worker, when its portal was erased meanwhile', () => {
  it('cancels an effect whose retry fails, without a reason, and forgets its steps', async () => {
    const { wait, open, isReached } = gate();
    let runs = 0;
    await startWith(async ({ eventId }) => {
      runs += 1;
      if (runs === 1) throw new JobError('HANDLER_LATER');
      await wait();
      await noteStep(eventId);
      throw new JobError('HANDLER_NEVER', TEXT);
    });
    const { eventId } = await bench.deliver(NAME);
    await waitUntil('it is tried again', isReached);
    await noteRemoval();
    open();
    await bench.effectDone();
    const [job] = await bench.effects.getCompleted();
    expect(job?.returnvalue).toEqual({ outcome: 'cancelled' });
    expect(job?.data.delivery.auth.memberId).toBe('');
    expect(await holding(TEXT)).toEqual([]);
    expect(await hasSteps(eventId)).toBe(0);
  });

  it('cancels a delivery whose effect fails, hands nothing over, and forgets its steps', async () => {
    const { wait, open, isReached } = gate();
    await startWith(async ({ eventId }) => {
      await wait();
      await noteStep(eventId);
      throw new JobError('HANDLER_NEVER', TEXT);
    });
    const delivery = await bench.deliver(NAME);
    await waitUntil('it is under way', isReached);
    await noteRemoval();
    open();
    expect(await bench.outcomeOf(delivery)).toBe('cancelled');
    expect((await bench.deliveries.getJob(delivery.id))?.data.auth.memberId).toBe('');
    expect(await holding(TEXT)).toEqual([]);
    expect(await hasSteps(delivery.eventId)).toBe(0);
  });

  it('cancels a delivery that fails by itself, without a reason', async () => {
    const { redis, keys } = bench.shared;
    const removed = keys.portalRemoved(MEMBER_ID);
    await noteRemoval();
    const note = await redis.get(removed);
    await redis.del(removed);
    await install();
    const delivery = await bench.deliver(NAME);
    const claim = { owner: delivery.id, began: '1', runner: 'one that died', crashes: '4' };
    await redis.hset(keys.event(delivery.eventId), claim);
    // Between the look at its portal and the claim on its event.
    const wants = (): boolean => {
      void redis.set(removed, String(note));
      return true;
    };
    await startWith(() => Promise.resolve(), wants);
    expect(await bench.outcomeOf(delivery)).toBe('cancelled');
  });

  it('forgets the steps of an effect whose job was emptied', async () => {
    const delivery = await bench.deliver(NAME);
    await bench.deliveries.remove(delivery.id);
    await addEffectJob(erased(delivery));
    await noteStep(delivery.eventId);
    await startWith(() => Promise.resolve());
    await bench.effectDone();
    expect(await hasSteps(delivery.eventId)).toBe(0);
  });

  it('forgets the steps of what another run began, when it cancels it before a run', async () => {
    const delivery = await bench.deliver(NAME);
    takeJobs('deliveries', async () => {
      await noteStep(delivery.eventId);
      return { kind: 'postponed', untilMs: Date.now() + 60_000 };
    });
    await waitUntil('it was begun', async () => (await bench.deliveries.getDelayedCount()) === 1);
    await consumer?.stop(1000);
    await noteRemoval();
    await startWith(() => Promise.resolve());
    await (await bench.deliveries.getJob(delivery.id))?.promote();
    expect(await bench.outcomeOf(delivery)).toBe('cancelled');
    expect(await hasSteps(delivery.eventId)).toBe(0);
  });
});
