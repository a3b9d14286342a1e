import { describe, expect, it } from '@jest/globals';
import { JobError } from '../../src/shared/errors.js';
import { createDestination } from '../../src/worker/destination.js';

const never = new AbortController().signal;

function fail(code: 'EFFECT_UNAVAILABLE' | 'EFFECT_REFUSED'): () => Promise<never> {
  return () => Promise.reject(new JobError(code));
}

async function failTimes(
  destination: ReturnType<typeof create>,
  times: number,
  code: Parameters<typeof fail>[0],
): Promise<void> {
  for (let i = 0; i < times; i += 1) await expect(destination.use('first', never, fail(code))).rejects.toThrow(code);
}

function create(restMs = 60_000) {
  return createDestination({ slots: { first: 5, retry: 5 }, restMs, now: Date.now, random: () => 0.5 });
}

describe('createDestination', () => {
  it('is spared after ten failures in a row, and says when to look again', async () => {
    const destination = create();
    await failTimes(destination, 10, 'EFFECT_UNAVAILABLE');
    let ran = false;
    const used = await destination.use('first', never, async () => {
      ran = true;
    });
    expect(used.kind).toBe('busy');
    expect(ran).toBe(false);
    expect(used.kind === 'busy' && used.retryAtMs).toBeGreaterThan(Date.now() + 30_000);
  });

  it('does not rest for refusals, which speak of single events', async () => {
    const destination = create();
    await failTimes(destination, 20, 'EFFECT_REFUSED');
    expect(await destination.use('first', never, () => Promise.resolve(1))).toEqual({ kind: 'ran', result: 1 });
  });

  it('lets one run test it after the rest, and turns the others away meanwhile', async () => {
    const destination = create(1);
    await failTimes(destination, 10, 'EFFECT_UNAVAILABLE');
    await new Promise((resolve) => setTimeout(resolve, 50));
    let finishTest: () => void = () => undefined;
    const test = destination.use('first', never, () => new Promise<void>((resolve) => (finishTest = resolve)));
    await new Promise((resolve) => setImmediate(resolve));
    expect((await destination.use('first', never, () => Promise.resolve())).kind).toBe('busy');
    finishTest();
    expect((await test).kind).toBe('ran');
    expect((await destination.use('first', never, () => Promise.resolve())).kind).toBe('ran');
  });

  it('keeps the slots of first tries and of retries apart', async () => {
    const destination = create();
    const hanging = Array.from({ length: 5 }, () =>
      destination.use('first', never, () => new Promise(() => undefined)),
    );
    expect(hanging).toHaveLength(5);
    const gone = AbortSignal.abort();
    expect((await destination.use('first', gone, () => Promise.resolve())).kind).toBe('busy');
    expect((await destination.use('retry', never, () => Promise.resolve())).kind).toBe('ran');
  });
});
