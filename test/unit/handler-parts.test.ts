import { PassThrough } from 'node:stream';
import { describe, expect, it } from '@jest/globals';
import { JobError } from '../../src/shared/errors.js';
import { createDestination } from '../../src/worker/destination.js';
import { createCrashRecord } from '../../src/worker/handlers/crash-record.js';
import { eventMatcher, isEventPattern } from '../../src/worker/handlers/event-patterns.js';
import { hostEnvironment } from '../../src/worker/handlers/host-environment.js';
import { createEventCrashes } from '../../src/worker/handlers/event-crashes.js';
import { createLineBudget } from '../../src/worker/handlers/line-budget.js';
import { callIn, parseHostMessage } from '../../src/worker/handlers/parse-host-message.js';
import { readLines } from '../../src/worker/handlers/read-lines.js';
import { silentLogger } from '../support/shared-redis.js';

describe('eventMatcher', () => {
  it('takes names as they are and patterns as beginnings', () => {
    const matches = eventMatcher(['ONAPPINSTALL', 'ONCRM*']);
    const names = ['ONAPPINSTALL', 'ONAPPINSTALLED', 'ONCRMDEALADD', 'XONCRMDEALADD'];
    expect(names.map(matches)).toEqual([true, false, true, false]);
  });

  it.each([
    ['*', true],
    ['INCOMING.SHOP', true],
    ['ON*', true],
    ['on*', false],
    ['ON*ADD', false],
    ['', false],
    [5, false],
  ])('%p is a pattern: %p', (pattern, isOne) => {
    expect(isEventPattern(pattern)).toBe(isOne);
  });
});

describe('the record of crashes', () => {
  const create = (): { record: ReturnType<typeof createCrashRecord>; pass: (ms: number) => void } => {
    let nowMs = 0;
    const record = createCrashRecord({ windowMs: 1000, now: () => nowMs, logger: silentLogger });
    return { record, pass: (ms) => (nowMs += ms) };
  };

  it('counts what hung together in one process as one crash', () => {
    const { record } = create();
    const host = {};
    for (let i = 0; i < 5; i += 1) record.noteCrash({ handler: 'h', eventId: `e${i}`, how: 'hung', host });
    expect(record.admit('h')).toEqual({ kind: 'run' });
  });

  it('counts what one event does again and again once', () => {
    const { record } = create();
    for (let i = 0; i < 9; i += 1) record.noteCrash({ handler: 'h', eventId: 'e', how: 'exit', host: {} });
    for (const eventId of ['f', 'g']) {
      expect(record.admit('h')).toEqual({ kind: 'run' });
      record.noteCrash({ handler: 'h', eventId, how: 'exit', host: {} });
    }
    expect(record.admit('h')).toEqual({ kind: 'aside', reason: 'exit' });
  });

  it('forgets crashes of long ago', () => {
    const { record, pass } = create();
    for (let i = 0; i < 9; i += 1) {
      record.noteCrash({ handler: 'h', eventId: `e${i}`, how: 'exit', host: {} });
      pass(501);
    }
    expect(record.admit('h')).toEqual({ kind: 'run' });
  });

  it('lets one test through at a time, and another where that one was interrupted', () => {
    const { record, pass } = create();
    for (let i = 0; i < 3; i += 1) record.noteCrash({ handler: 'h', eventId: `e${i}`, how: 'exit', host: {} });
    expect(record.admit('h')).toEqual({ kind: 'aside', reason: 'exit' });
    pass(1001);
    expect(record.admit('h')).toEqual({ kind: 'test' });
    expect(record.admit('h')).toEqual({ kind: 'aside', reason: 'exit' });
    record.noteTestEnd('h', 'unknown');
    expect(record.admit('h')).toEqual({ kind: 'test' });
    record.noteTestEnd('h', 'crashed');
    expect(record.admit('h')).toEqual({ kind: 'aside', reason: 'exit' });
    pass(1001);
    expect(record.admit('h')).toEqual({ kind: 'test' });
    record.noteTestEnd('h', 'well');
    expect(record.admit('h')).toEqual({ kind: 'run' });
  });
});

describe('the crashes of an event', () => {
  it('give it up at the third, unless a run for it came to an end', () => {
    const crashes = createEventCrashes();
    expect([1, 2].map(() => crashes.count('h', 'e'))).toEqual([false, false]);
    crashes.forget('h', 'e');
    expect([1, 2, 3, 4].map(() => crashes.count('h', 'e'))).toEqual([false, false, true, false]);
  });
});

describe('the budget of lines', () => {
  it('lets some through in each period, and tells how many it left out', () => {
    const leftOut: number[] = [];
    const budget = createLineBudget(2, (lines) => leftOut.push(lines));
    expect([1, 2, 3, 4, 5].map(() => budget.take())).toEqual([true, true, false, false, false]);
    budget.renew();
    budget.renew();
    expect(leftOut).toEqual([3]);
    expect(budget.take()).toBe(true);
  });
});

describe('the destination of a handler', () => {
  it('does not rest, however many of its runs fail: each may have been for another portal', async () => {
    const slots = { first: 5, retry: 5 };
    const destination = createDestination({ slots, restMs: 60_000, now: Date.now, breaks: false });
    const { signal } = new AbortController();
    const fail = (): Promise<never> => Promise.reject(new JobError('EFFECT_UNAVAILABLE'));
    for (let i = 0; i < 20; i += 1)
      await expect(destination.use('first', signal, fail)).rejects.toThrow('EFFECT_UNAVAILABLE');
    expect(await destination.use('first', signal, () => Promise.resolve(1))).toEqual({ kind: 'ran', result: 1 });
  });
});

describe('the environment of a host', () => {
  it('has no secret variable of the product, and neither the file that holds one', () => {
    const env = hostEnvironment({
      REDIS_URL: 'r',
      SECRET_KEY_FILE: 'f',
      NODE_CHANNEL_FD: '3',
      SHOP_TOKEN: 's',
      A: undefined,
    });
    expect(env).toEqual({ SHOP_TOKEN: 's', A: '' });
  });
});

const RUN_ID = 'ab'.repeat(16);

describe('parseHostMessage', () => {
  it.each([
    null,
    'text',
    { type: 'ended', runId: 1, outcome: { kind: 'done' } },
    { type: 'ended', runId: RUN_ID, outcome: { kind: 'failed', failure: { kind: 'job', code: 'constructor' } } },
    { type: 'call', runId: RUN_ID, callId: 1, call: { kind: 'connector', connector: 'x', line: Number.NaN } },
    { type: 'call', runId: RUN_ID, callId: 1, call: { kind: 'once-end', step: 's', result: 'x'.repeat(20_000) } },
  ])('does not take %p from foreign code', (message) => {
    expect(parseHostMessage(message)).toBeUndefined();
  });

  it('tells of a call that cannot be read which one waits for an answer', () => {
    expect(callIn({ type: 'call', runId: RUN_ID, callId: 4, call: { kind: 'none' } })).toMatchObject({ callId: 4 });
    expect(callIn({ type: 'call', runId: 1, callId: 4 })).toBeUndefined();
  });
});

describe('readLines', () => {
  it('keeps of an endless line no more than its beginning', async () => {
    const stream = new PassThrough();
    const lines: string[] = [];
    readLines(stream, 10, (line) => lines.push(line));
    for (let i = 0; i < 1000; i += 1) stream.write('y'.repeat(1000));
    stream.end('\nä\r\n\nlast');
    await new Promise((resolve) => stream.on('end', resolve));
    expect(lines).toEqual(['y'.repeat(10), 'ä', 'last']);
  });
});
