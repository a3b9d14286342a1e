import { describe, expect, it } from '@jest/globals';
import { JobError } from '../../src/shared/errors.js';
import { isCallError, later, never } from '../../src/worker/handlers/define-handler.js';
import { toFailure, toJobError } from '../../src/worker/handlers/run-failure.js';

describe('toFailure', () => {
  it('finds an error of ours below what wraps it', () => {
    const cause = new JobError('REST_REFUSED', 'ERROR_ARGUMENT');
    const wrapped = new Error('outer', { cause: new Error('inner', { cause }) });
    expect(toFailure(wrapped)).toEqual({ kind: 'job', code: 'REST_REFUSED', detail: 'ERROR_ARGUMENT' });
  });

  it('takes the word of a handler before that of the call that it wraps', () => {
    const error = later('not now', { afterMs: 10 });
    error.cause = new JobError('REST_REFUSED');
    expect(toFailure(error)).toEqual({ kind: 'verdict', verdict: 'later', reason: 'not now', afterMs: 10 });
  });

  it('knows a verdict of another copy of its class by its fields', () => {
    expect(toFailure({ handlerVerdict: 'never', message: 'gone' })).toMatchObject({ verdict: 'never', reason: 'gone' });
  });

  it.each([Number.NaN, -5, '5', Number.POSITIVE_INFINITY])('waits at most a day, and not for %p', (afterMs) => {
    const waitMs = toJobError(toFailure({ handlerVerdict: 'later', message: 'x', afterMs })).retryAfterMs;
    expect(waitMs).toBe(afterMs === Number.POSITIVE_INFINITY ? 86_400_000 : undefined);
  });

  it('comes to an end where causes go in a circle', () => {
    const error = new Error('round');
    error.cause = error;
    expect(toFailure(error)).toMatchObject({ kind: 'error', reason: 'Error: round' });
  });

  it('says what was not reached, which only the causes tell', () => {
    const refused = new Error('connect ECONNREFUSED 127.0.0.1:4000');
    const tried = new AggregateError([new Error('connect ECONNREFUSED ::1:4000'), refused]);
    expect(toFailure(new TypeError('fetch failed', { cause: refused }))).toMatchObject({
      reason: 'TypeError: fetch failed: connect ECONNREFUSED 127.0.0.1:4000',
    });
    expect(toFailure(new TypeError('fetch failed', { cause: tried }))).toMatchObject({
      reason: 'TypeError: fetch failed: connect ECONNREFUSED ::1:4000, connect ECONNREFUSED 127.0.0.1:4000',
    });
  });

  it('does not repeat a cause that the message quotes, nor one that is nothing, and has a bound', () => {
    const quoting = new Error('not saved: full', { cause: new Error('full') });
    expect(toFailure(quoting)).toMatchObject({ reason: 'Error: not saved: full' });
    expect(toFailure(new Error('alone', { cause: null }))).toMatchObject({ reason: 'Error: alone' });
    const long = toFailure(new Error('x', { cause: new Error('y'.repeat(1000)) }));
    expect(long).toMatchObject({ reason: `Error: x: ${'y'.repeat(490)}` });
  });

  it.each([
    [undefined, 'undefined'],
    [null, 'null'],
    ['text', 'text'],
    [{ message: 'm' }, 'm'],
  ])('tells what was thrown where it was no error: %p', (thrown, reason) => {
    expect(toFailure(thrown)).toEqual({ kind: 'error', reason });
  });
});

describe('toFailure, of what cannot be read', () => {
  const refuse = (): never => {
    throw new Error('no');
  };
  it.each([
    ['an object without a text', Object.create(null)],
    ['a getter that throws', Object.defineProperty({}, 'message', { get: refuse, enumerable: true })],
    ['a proxy', new Proxy({}, { get: refuse, has: () => true, getPrototypeOf: refuse })],
  ])('says so: %s', (_what, thrown: unknown) => {
    expect(toFailure(thrown)).toEqual({ kind: 'error', reason: 'what it threw cannot be read' });
  });
});

describe('toJobError', () => {
  it.each([true, false, undefined])('keeps whether a call was sent: %p', (isSent) => {
    expect(toJobError(toFailure(new JobError('REST_UNREACHABLE', undefined, { isSent }))).isSent).toBe(isSent);
  });
});

describe('isCallError', () => {
  it('tells failed calls from other errors, and by their codes', () => {
    const error: unknown = new JobError('REST_REFUSED');
    expect(isCallError(error)).toBe(true);
    expect(isCallError(error, 'REST_REFUSED', 'REST_BUDGET')).toBe(true);
    expect(isCallError(error, 'REST_BUDGET')).toBe(false);
    expect(isCallError(never('x'))).toBe(false);
    expect(isCallError(undefined)).toBe(false);
  });
});
