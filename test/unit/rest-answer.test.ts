import { describe, expect, it } from '@jest/globals';
import { readRestAnswer } from '../../src/shared/bitrix24/rest/rest-answer.js';

function read(status: number, body: unknown) {
  return readRestAnswer(status, typeof body === 'string' ? body : JSON.stringify(body));
}

describe('the answer of a portal', () => {
  it('is a result, with the time that the method has used', () => {
    const time = { start: 100, finish: 101.5, operating: 451.2, operating_reset_at: 161.5 };
    expect(read(200, { result: { a: 1 }, time })).toEqual({
      kind: 'result',
      result: { a: 1 },
      operating: { seconds: 451.2, resetInMs: 60_000 },
    });
    expect(read(200, { result: null, time: { start: 1 } })).toEqual({
      kind: 'result',
      result: null,
      operating: undefined,
    });
  });

  it.each([
    [401, 'expired_token', 'renew'],
    [401, 'invalid_token', 'renew'],
    [503, 'QUERY_LIMIT_EXCEEDED', 'limited'],
    [429, 'OPERATION_TIME_LIMIT', 'method-limited'],
    [500, 'INTERNAL_SERVER_ERROR', 'later'],
    [500, 'ERROR_UNEXPECTED_ANSWER', 'later'],
    [502, 'SOMETHING_NEW', 'later'],
    [429, 'SOMETHING_NEW', 'later'],
    [401, 'method_confirm_waiting', 'unexpected'],
    [400, 'ERROR_BATCH_LENGTH_EXCEEDED', 'never'],
    [405, 'ERROR_BATCH_METHOD_NOT_ALLOWED', 'never'],
    [401, 'NO_AUTH_FOUND', 'never'],
    [400, 'INVALID_REQUEST', 'never'],
    [403, 'INVALID_CREDENTIALS', 'never'],
    [404, 'ERROR_MANIFEST_IS_NOT_AVAILABLE', 'never'],
    [403, 'insufficient_scope', 'never'],
    [403, 'user_access_error', 'never'],
    [403, 'WRONG_AUTH_TYPE', 'never'],
    [400, 'ERROR_ARGUMENT', 'never'],
    [400, 'IMCONNECTOR_NO_CORRECT_PROVIDER', 'never'],
    [404, 'ERROR_METHOD_NOT_FOUND', 'never'],
    [400, 'SOMETHING_NEW', 'never'],
    [200, 'ERROR_ARGUMENT', 'never'],
    [200, 'SOMETHING_NEW', 'unexpected'],
    [200, 'QUERY_LIMIT_EXCEEDED', 'limited'],
    // Of an entity, whatever the status.
    [403, 'ACCESS_DENIED', 'never'],
  ])('%i %s: %s', (status, error, kind) => {
    const reply = read(status, { error, error_description: 'Access denied' });
    expect(reply).toMatchObject({ kind, code: error });
  });

  it.each([
    { status: 500, error: 'PORTAL_DELETED', text: '', reason: 'deleted' },
    { status: 503, error: 'OVERLOAD_LIMIT', text: 'REST API is blocked due to overload', reason: 'overload' },
    { status: 403, error: 'ACCESS_DENIED', text: 'REST API is available only on commercial plans', reason: 'access' },
    { status: 402, error: 'PAYMENT_REQUIRED', text: '', reason: 'payment' },
    { status: 200, error: 'PAYMENT_REQUIRED', text: '', reason: 'payment' },
  ])('suspends the portal: $status $error', ({ status, error, text, reason }) => {
    expect(read(status, { error, error_description: text })).toEqual({ kind: 'suspend', code: error, reason });
  });

  it('says when the method that has used up its time may be called again', () => {
    const time = { finish: 1000, operating: 480, operating_reset_at: 1090 };
    expect(read(429, { error: 'OPERATION_TIME_LIMIT', time })).toEqual({
      kind: 'method-limited',
      code: 'OPERATION_TIME_LIMIT',
      operating: { seconds: 480, resetInMs: 90_000 },
    });
  });

  it.each([
    [200, '<html>', 'unexpected'],
    [200, '{"no":"result"}', 'unexpected'],
    [200, '[]', 'unexpected'],
    [200, '', 'unexpected'],
    [401, '<html>', 'unexpected'],
    [404, '<html>', 'unexpected'],
    [503, '<html>', 'later'],
  ])('without a code is told by its status: %i %s', (status, text, kind) => {
    expect(read(status, text)).toEqual({ kind, code: `HTTP ${status}` });
  });

  it('takes the code from an object, and lets nothing but letters into the log', () => {
    expect(read(400, { error: { code: 'BITRIX_REST_V3' } })).toMatchObject({ kind: 'never', code: 'BITRIX_REST_V3' });
    const long = read(400, { error: `A\n{"x":1}${'B'.repeat(200)}` });
    expect(long).toEqual({ kind: 'never', code: `Ax:1${'B'.repeat(96)}` });
    expect(read(400, { error: '__proto__' })).toMatchObject({ kind: 'never' });
  });
});
