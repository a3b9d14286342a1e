import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { liveWorkers, sayAlive, type WorkerName } from '../../src/shared/live-workers.js';
import { startProbe, type Probe } from '../../src/worker/watch/probe.js';
import { silentLogger, useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const WORKER: WorkerName = { id: '0123456789ab', host: 'here', pid: 1 };

let shared: SharedRedisUse;

beforeEach(() => {
  shared = useSharedRedis();
});
afterEach(() => shared.close());

function start(): Probe {
  const { redis, keys, prefix } = shared;
  return startProbe({
    worker: WORKER,
    redis,
    consumerRedis: redis,
    keys,
    prefix,
    logger: silentLogger,
    everyMs: 60_000,
    nowMs: () => performance.now(),
  });
}

describe('the probe of a worker, stopped', () => {
  it('leaves neither a queue nor a name, wherever the job under way is', async () => {
    for (let round = 0; round < 5; round += 1) {
      const probe = start();
      if (round % 2 === 1) await waitUntil('a job has returned', () => probe.returnedAtMs !== undefined);
      await probe.stop(Promise.resolve());
      expect(await shared.redis.keys(`${shared.prefix}:probe-*`)).toEqual([]);
      expect(await liveWorkers(shared)).toEqual([]);
    }
  });

  it('takes its name back after the others who say that it lives', async () => {
    const probe = start();
    let say: () => void = () => undefined;
    const said = new Promise<void>((resolve) => (say = resolve)).then(() => sayAlive(shared, WORKER));
    await waitUntil('a job has returned', () => probe.returnedAtMs !== undefined);
    const stopped = probe.stop(said);
    // Where it does not wait for them, it ends before them.
    await Promise.race([stopped, new Promise((resolve) => setTimeout(resolve, 800))]);
    say();
    await stopped;
    expect(await liveWorkers(shared)).toEqual([]);
  });

  it('does not wait for ever for others who hang', async () => {
    const probe = start();
    await waitUntil('a job has returned', () => probe.returnedAtMs !== undefined);
    await probe.stop(new Promise(() => undefined));
    expect(await liveWorkers(shared)).toEqual([]);
  });
});
