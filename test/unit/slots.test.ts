import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createSlots, HANGING_MS } from '../../src/worker/slots.js';

const never = new AbortController().signal;

describe('createSlots', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('lets one who waits in as soon as another leaves', async () => {
    const slots = createSlots(1, Date.now);
    const first = await slots.enter(never);
    const second = slots.enter(never);
    first?.leave();
    expect(await second).toBeDefined();
  });

  it('gives one freed slot to one who waits, not to two', async () => {
    const slots = createSlots(1, Date.now);
    const first = await slots.enter(never);
    const waiting = [slots.enter(never), slots.enter(never)];
    first?.leave();
    expect(await waiting[0]).toBeDefined();
    await jest.advanceTimersByTimeAsync(HANGING_MS);
    expect(await waiting[1]).toBeUndefined();
  });

  it('turns away at once where nothing has left for long', async () => {
    const slots = createSlots(1, Date.now);
    await slots.enter(never);
    jest.advanceTimersByTime(HANGING_MS + 1);
    expect(await slots.enter(never)).toBeUndefined();
  });

  it('does not make one wait whose job is no longer its own', async () => {
    const slots = createSlots(1, Date.now);
    await slots.enter(never);
    const abort = new AbortController();
    const waiting = slots.enter(abort.signal);
    abort.abort();
    expect(await waiting).toBeUndefined();
  });
});
