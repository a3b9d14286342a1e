import { describe, expect, it } from '@jest/globals';
import { decodeForm } from '../../src/api/decode-body.js';
import { type ParsedEnvelope, parseEnvelope } from '../../src/shared/bitrix24/parse-event.js';
import { toBitrixEvent } from '../../src/shared/bitrix24/to-event.js';
import { ACCESS_TOKEN, APPLICATION_TOKEN, AUTH, BODY, envelopeOf } from '../support/envelopes.js';

function withData(data: unknown, event = 'ONX'): ParsedEnvelope {
  return envelopeOf({ ...BODY, event, data });
}

function pathsOf(body: unknown): readonly string[] {
  const result = parseEnvelope(body);
  return result.ok ? [] : result.issues.map((issue) => issue.path);
}

function fingerprint(data: unknown): string {
  return withData(data).fingerprint;
}

describe('the envelope', () => {
  it('is read from the strings of a form', () => {
    expect(envelopeOf(BODY)).toStrictEqual({
      name: 'ONX',
      handlerId: 5,
      ts: 1773761165,
      auth: {
        memberId: AUTH.member_id,
        domain: 'some-domain.bitrix24.com',
        scope: 'imconnector, imopenlines',
        status: 'F',
        userId: 27,
        clientEndpoint: 'https://some-domain.bitrix24.com/rest/',
        serverEndpoint: 'https://oauth.bitrix24.tech/rest/',
        expires: 1773764694,
        expiresIn: 3600,
      },
      body: { state: 'open', payload: { a: '1' } },
      secrets: { auth: { application_token: APPLICATION_TOKEN, access_token: ACCESS_TOKEN }, data: [] },
      fingerprint: expect.stringMatching(/^[\w-]{43}$/),
    });
  });

  it('puts the name in upper case', () => {
    expect(envelopeOf({ ...BODY, event: 'onCrm.Deal:Add_x-1' }).name).toBe('ONCRM.DEAL:ADD_X-1');
  });

  it.each([0, '0', 9_999_999_999, '9999999999', '0000000001'])('takes the ts %p', (ts) => {
    expect(envelopeOf({ ...BODY, ts }).ts).toBe(Number(ts));
  });

  it.each([
    [undefined, null],
    ['', null],
    ['x', null],
    ['1.5', null],
    [['1', '2'], null],
    [{ a: '1' }, null],
    ['9007199254740993', null],
    [563, 563],
    ['563', 563],
  ])('reads the handler id %p as %p', (event_handler_id, handlerId) => {
    expect(envelopeOf({ ...BODY, event_handler_id }).handlerId).toBe(handlerId);
  });

  it('takes the handler id in capitals and never eventId', () => {
    const { event_handler_id: _, ...rest } = BODY;
    expect(envelopeOf({ ...rest, EVENT_HANDLER_ID: '7' }).handlerId).toBe(7);
    expect(envelopeOf({ ...rest, eventId: '7' }).handlerId).toBeNull();
  });

  it.each([
    ['event', undefined],
    ['event', ''],
    ['event', 'ON X'],
    ['event', 'ONX\n'],
    ['event', 'x'.repeat(129)],
    ['event', ['ONX', 'ONX']],
    ['event', { a: 'ONX' }],
    ['event', 5],
    ['event', ACCESS_TOKEN],
    ['event', `ON${APPLICATION_TOKEN}`],
    ['ts', undefined],
    ['ts', ''],
    ['ts', '1.5'],
    ['ts', 1.5],
    ['ts', '-1'],
    ['ts', -1],
    ['ts', '1e3'],
    ['ts', ' 1'],
    ['ts', '10000000000'],
    ['ts', ['1', '2']],
    ['ts', ['1']],
    ['ts', { a: '1' }],
    ['ts', true],
    ['ts', null],
  ])('is refused by the path of %s for %p', (field, value) => {
    expect(pathsOf({ ...BODY, [field]: value })).toStrictEqual([field]);
  });

  it.each([
    ['member_id', undefined],
    ['member_id', ''],
    ['member_id', 'a b'],
    ['member_id', 'x'.repeat(65)],
    ['member_id', ['a']],
    ['member_id', { a: 'b' }],
    ['member_id', 5],
    ['member_id', ACCESS_TOKEN],
    ['application_token', undefined],
    ['application_token', ''],
    ['application_token', 'x'.repeat(257)],
    ['application_token', [APPLICATION_TOKEN, APPLICATION_TOKEN]],
    ['application_token', { a: APPLICATION_TOKEN }],
    ['application_token', 12345678],
    ['application_token', null],
  ])('is refused by the path of auth.%s for %p', (field, value) => {
    expect(pathsOf({ ...BODY, auth: { ...AUTH, [field]: value } })).toStrictEqual([`auth.${field}`]);
  });

  it.each([undefined, null, '', 'x', [], [AUTH], {}])('names both paths of an auth that is %j', (auth) => {
    expect(pathsOf({ ...BODY, auth })).toStrictEqual(['auth.member_id', 'auth.application_token']);
  });

  it.each([undefined, null, 'x', 5, [], {}, [BODY]])('tells all that %j lacks at once', (body) => {
    expect(pathsOf(body)).toStrictEqual(['event', 'ts', 'auth.member_id', 'auth.application_token']);
  });

  it('never quotes auth in an issue', () => {
    const result = parseEnvelope({ event: ACCESS_TOKEN, ts: ACCESS_TOKEN, auth: { ...AUTH, member_id: ACCESS_TOKEN } });
    expect(result).toMatchObject({ ok: false });
    expect(JSON.stringify(result)).not.toContain(ACCESS_TOKEN);
  });
});

describe('data', () => {
  it.each([undefined, null, [], {}, { a: null, b: [] }])('is an empty list for the nothing %j', (data) => {
    expect(withData(data).body).toStrictEqual({ state: 'open', payload: [] });
  });

  it('has the form of the wire, however it came', () => {
    expect(withData({ ID: 5, ok: true, no: false, gone: null, l: [1, null, 2], m: { 0: 'a', 1: 'b' } }).body).toEqual({
      state: 'open',
      payload: { ID: '5', ok: '1', no: '0', l: { 0: '1', 2: '2' }, m: ['a', 'b'] },
    });
  });

  it('loses a __proto__ on the way', () => {
    const { body } = withData(JSON.parse('{"__proto__":{"x":1},"n":1}'));
    expect(JSON.stringify(body)).toBe('{"state":"open","payload":{"n":"1"}}');
    expect((body as { payload: { x?: string } }).payload.x).toBeUndefined();
  });

  it('is typed if a known event fits, and quarantined with all of it if not', () => {
    expect(withData(107, 'OnImConnectorLineDelete').body).toStrictEqual({ state: 'typed', payload: { line: 107 } });
    expect(withData({ x: 'y' }, 'ONIMCONNECTORLINEDELETE').body).toStrictEqual({
      state: 'quarantined',
      data: { x: 'y' },
      issues: [{ path: 'data.LINE', message: 'expected a whole number from 0 on' }],
    });
  });

  it('is quarantined if it is a number and a map at once', () => {
    const text = `event=ONIMCONNECTORLINEDELETE&ts=1&data=107&data[line]=3&auth[member_id]=m&auth[application_token]=t`;
    const decoded = decodeForm(Buffer.from(text), { depthMax: 16, parametersMax: 100 });
    expect(envelopeOf(decoded.ok ? decoded.value : undefined).body.state).toBe('quarantined');
  });
});

describe('the fingerprint', () => {
  it('ignores key case, key order, types of scalars and what PHP leaves out', () => {
    const one = fingerprint({ LINE: 107, LIST: [true, false, 'x'], gone: null, none: [], nil: {} });
    expect(fingerprint({ list: ['1', '0', 'x'], line: '107' })).toBe(one);
  });

  it.each([
    [{ a: '1' }, { a: '2' }],
    [{ a: '1' }, { b: '1' }],
    [{ a: '1' }, { a: ['1'] }],
    [{ a: '' }, {}],
    [{ a: 'A' }, { a: 'a' }],
    [
      { a: '1', b: '2' },
      { a: '2', b: '1' },
    ],
    [{ a: '1\n1:b=1:2' }, { a: '1', b: '2' }],
    [{ a: { b: '1' } }, { 'a1:b': '1' }],
    [{ a: { bc: '1' } }, { ab: { c: '1' } }],
    ['107', { line: '107' }],
    [
      ['a', 'b'],
      ['b', 'a'],
    ],
    [[['a'], 'b'], [['a', 'b']]],
    [{ a: { b: '1' }, c: '2' }, { a: { b: '1', c: '2' } }],
  ])('tells %j from %j', (one, other) => {
    expect(fingerprint(one)).not.toBe(fingerprint(other));
  });

  it('ignores the order of keys that differ in nothing but case', () => {
    expect(fingerprint({ a: '1', A: '2' })).toBe(fingerprint({ A: '2', a: '1' }));
  });

  it('takes no longer for leaves below long keys than in proportion to the body', () => {
    const leaves = Array.from({ length: 10_000 }, () => 'x');
    const startMs = performance.now();
    fingerprint({ ['k'.repeat(200_000)]: { ['l'.repeat(200_000)]: leaves } });
    expect(performance.now() - startMs).toBeLessThan(1_000);
  });

  it('tells secrets apart that look alike once they are sealed', () => {
    expect(fingerprint({ TOKEN: 'a' })).not.toBe(fingerprint({ TOKEN: 'b' }));
  });
});

describe('the size of what is kept', () => {
  const longKey = 'k'.repeat(256);
  const numbers = (length: number): readonly number[] => Array.from({ length }, (_, index) => index);
  const nested = (value: unknown): unknown => numbers(14).reduce<unknown>((inner) => ({ [longKey]: inner }), value);

  it.each<[string, string, unknown]>([
    ['9000 leaves under long keys', 'ONX', nested(numbers(9000))],
    ['2000 leaves with secret names under long keys', 'ONX', nested(numbers(2000).map((at) => ({ token: `v${at}` })))],
    ['2000 long secret names', 'ONX', Object.fromEntries(numbers(2000).map((at) => [`${longKey}${at}_token`, 'v']))],
    ['the shortest secret names', 'ONX', numbers(9900).map(() => ({ sid: 1 }))],
    ['a secret in every text', 'ONX', { token: 'zq81hide', list: numbers(9000).map((at) => `${at}zq81hide`) }],
    [
      'issues under long keys',
      'ONIMCONNECTORMESSAGEADD',
      { CONNECTOR: 'c', LINE: 1, MESSAGES: numbers(100).map(() => ({ ['M'.repeat(200)]: nested('x') })) },
    ],
  ])('is no more than three times the body with %s', (_, event, data) => {
    const body = { ...BODY, event, data };
    const startMs = performance.now();
    const envelope = envelopeOf(body);
    expect(performance.now() - startMs).toBeLessThan(1_000);
    expect(JSON.stringify(envelope).length).toBeLessThan(JSON.stringify(body).length * 3 + 4096);
  });
});

describe('toBitrixEvent', () => {
  it('makes a known event of a typed body and another of an open one', () => {
    expect(toBitrixEvent(withData(107, 'ONIMCONNECTORLINEDELETE'))).toMatchObject({
      ok: true,
      event: {
        kind: 'ONIMCONNECTORLINEDELETE',
        name: 'ONIMCONNECTORLINEDELETE',
        ts: 1773761165,
        payload: { line: 107 },
      },
    });
    expect(toBitrixEvent(envelopeOf(BODY))).toMatchObject({
      ok: true,
      event: { kind: 'OTHER', name: 'ONX', handlerId: 5, payload: { a: '1' }, auth: { userId: 27 } },
    });
  });

  it('parses data in quarantine once more', () => {
    const envelope = withData({ x: 'y' }, 'ONIMCONNECTORLINEDELETE');
    expect(toBitrixEvent(envelope)).toMatchObject({ ok: false, issues: [{ path: 'data.LINE' }] });
    const fixed = { ...envelope, body: { state: 'quarantined', data: '107', issues: [] } } as const;
    expect(toBitrixEvent(fixed)).toMatchObject({ ok: true, event: { payload: { line: 107 } } });
  });

  it('parses an open payload whose event has got a schema since', () => {
    const envelope = { ...withData({}, 'ONIMCONNECTORLINEDELETE'), body: { state: 'open', payload: '107' } } as const;
    expect(toBitrixEvent(envelope)).toMatchObject({ ok: true, event: { payload: { line: 107 } } });
  });
});
