import { describe, expect, it } from '@jest/globals';
import { decodeForm, decodeJson, type DecodeResult } from '../../src/api/decode-body.js';

const BOUNDS = { depthMax: 16, parametersMax: 10_000 };

function form(text: string, bounds = BOUNDS): DecodeResult {
  return decodeForm(Buffer.from(text), bounds);
}

function json(text: string, bounds = BOUNDS): DecodeResult {
  return decodeJson(Buffer.from(text), bounds);
}

function valueOf(result: DecodeResult): unknown {
  return result.ok ? result.value : result;
}

function refusal(message: string): DecodeResult {
  return { ok: false, issues: [{ path: '', message }] };
}

function joined(count: number, parameterAt: (index: number) => string): string {
  return Array.from({ length: count }, (_, index) => parameterAt(index)).join('&');
}

/** The fastest of several runs: the one that the machine's other work disturbed least. */
function fastestMs(run: () => void): number {
  const times = Array.from({ length: 5 }, () => {
    const startMs = performance.now();
    run();
    return performance.now() - startMs;
  });
  return Math.min(...times);
}

describe('decodeForm', () => {
  it('reads nested brackets, encoded or not', () => {
    const value = { data: { MESSAGES: [{ im: { chat_id: '1' } }] } };
    expect(valueOf(form('data%5BMESSAGES%5D%5B0%5D%5Bim%5D%5Bchat_id%5D=1'))).toStrictEqual(value);
    expect(valueOf(form('data[MESSAGES][0][im][chat_id]=1'))).toStrictEqual(value);
  });

  it('keeps the six levels of a file field', () => {
    expect(valueOf(form('d[M][0][m][files][0][name]=a'))).toStrictEqual({
      d: { M: [{ m: { files: [{ name: 'a' }] } }] },
    });
  });

  it.each([1, 9, 10, 11, 21, 150, 1200])('makes an array of %i items, whatever order they come in', (length) => {
    const inOrder = Array.from({ length }, (_, index) => `a[${index}]=v${index}`);
    const items = Array.from({ length }, (_, index) => `v${index}`);
    expect(valueOf(form(inOrder.join('&')))).toStrictEqual({ a: items });
    expect(valueOf(form(inOrder.toReversed().join('&')))).toStrictEqual({ a: items });
  });

  it.each([
    ['a[1]=x', { a: { '1': 'x' } }],
    ['a[0]=x&a[2]=y', { a: { '0': 'x', '2': 'y' } }],
    ['a[1000]=x&a[7]=y', { a: { '7': 'y', '1000': 'x' } }],
    ['a[00]=x', { a: { '00': 'x' } }],
    ['a[0]=x&a[name]=y', { a: { '0': 'x', name: 'y' } }],
    ['a[4294967296]=x', { a: { '4294967296': 'x' } }],
  ])('keeps %s a map', (text, value) => {
    expect(valueOf(form(text))).toStrictEqual(value);
  });

  it('numbers empty brackets like PHP', () => {
    expect(valueOf(form('a[]=1&a[]=2'))).toStrictEqual({ a: ['1', '2'] });
    expect(valueOf(form('a[]=1'))).toStrictEqual({ a: ['1'] });
    expect(valueOf(form('a[][b]=1&a[][b]=2&c[]=3'))).toStrictEqual({ a: [{ b: '1' }, { b: '2' }], c: ['3'] });
    expect(valueOf(form(joined(300, () => 'a[]=1')))).toStrictEqual({ a: Array.from({ length: 300 }, () => '1') });
  });

  it.each([
    ['ts=1&ts=2', { ts: ['1', '2'] }],
    ['data=107&data[line]=3', { data: ['107', { line: '3' }] }],
    ['data[line]=3&data=107', { data: [{ line: '3' }, '107'] }],
    ['data=107&data[a]=1&data[b]=2', { data: ['107', { a: '1', b: '2' }] }],
    ['a[b]=1&a[b][c]=2&a[b]=3', { a: { b: ['1', '3', { c: '2' }] } }],
    ['a[=1&b]=2&[c]=3&d[e]f=4&g[[h]]=5', { 'a[': '1', 'b]': '2', c: '3', 'd[e]f': '4', 'g[[h]]': '5' }],
    ['a&=1&&b=', { a: '', b: '' }],
  ])('neither throws nor drops anything of %s', (text, value) => {
    expect(valueOf(form(text))).toStrictEqual(value);
  });

  it('gives an array for a key that came many times', () => {
    expect(valueOf(form(joined(100, () => 'ts=1')))).toStrictEqual({ ts: Array.from({ length: 100 }, () => '1') });
  });

  it('drops __proto__, keeps constructor and its like, and pollutes nothing', () => {
    const text =
      '__proto__[x]=1&a[__proto__][x]=1&a[b]=2&constructor[prototype][x]=1&a[hasOwnProperty]=3&__proto__=4&toString=5';
    const value = valueOf(form(text));
    // Not toStrictEqual: it asks the value for its constructor.
    expect(value).toEqual({
      a: { b: '2', hasOwnProperty: '3' },
      constructor: { prototype: { x: '1' } },
      toString: '5',
    });
    expect(Object.keys(value as object).toSorted()).toStrictEqual(['a', 'constructor', 'toString']);
    expect((value as { a: { x?: string } }).a.x).toBeUndefined();
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  it.each([
    ['a=%D0%9F%D1%80+%26', 'Пр &'],
    ['a=caf%C3%A9+%CF%F0%E8', 'café \uFFFD\uFFFD\uFFFD'],
    ['a=100%+%zz+%D0%9F', '100% %zz П'],
    ['a=%', '%'],
    ['a=%D', '%D'],
    ['a=é%FF', 'é\uFFFD'],
    ['a=x=y', 'x=y'],
  ])('decodes %s', (text, value) => {
    expect(valueOf(form(text))).toStrictEqual({ a: value });
  });

  it('decodes the sound values after a broken one', () => {
    expect(valueOf(form('a=%FF&b=%D0%9F&c=%d0%9f'))).toStrictEqual({ a: '\uFFFD', b: 'П', c: 'П' });
  });

  it('takes a byte order mark away', () => {
    expect(valueOf(form('\uFEFFevent=A'))).toStrictEqual({ event: 'A' });
  });

  it('refuses an empty body and bytes that are no UTF-8', () => {
    expect(form('')).toStrictEqual(refusal('the body is empty'));
    expect(form('\uFEFF')).toStrictEqual(refusal('the body is empty'));
    expect(decodeForm(Buffer.from([0x61, 0x3d, 0xff]), BOUNDS)).toStrictEqual(refusal('expected UTF-8'));
  });

  it('takes as many levels as its bound, and refuses one more', () => {
    expect(form(`a${'[b]'.repeat(16)}=1`).ok).toBe(true);
    expect(form(`a${'[b]'.repeat(17)}=1`)).toStrictEqual(refusal('nested deeper than 16 levels'));
    expect(form(`a${'[]'.repeat(500_000)}=1`)).toStrictEqual(refusal('nested deeper than 16 levels'));
  });

  it('takes keys of 256 characters, and refuses longer ones', () => {
    const key = 'k'.repeat(256);
    expect(form(`${key}=1&a[${key}]=1`).ok).toBe(true);
    const refused = refusal('a key longer than 256 characters');
    for (const text of [`${key}k=1`, `a[${key}k]=1`, `a[b][${key}k][c]=1`, `${key}[[a]=1`, `${'%41'.repeat(257)}=1`])
      expect(form(text)).toStrictEqual(refused);
    expect(form(`data[${'k'.repeat(800_000)}][]=1`)).toStrictEqual(refused);
  });

  it('takes as many parameters as its bound, and refuses one more', () => {
    const bounds = { depthMax: 16, parametersMax: 3 };
    expect(form('a=1&b=2&c=3', bounds).ok).toBe(true);
    expect(form('a=1&b=2&c=3&d=4', bounds)).toStrictEqual(refusal('more than 3 parameters'));
  });

  it.each(['9999', '1000', '500'])('takes no longer for 10,000 keys k[n][%s] than a few times k[n][a]', (index) => {
    const plain = Buffer.from(joined(10_000, (at) => `k[${at}][a]=x`));
    const hostile = Buffer.from(joined(10_000, (at) => `k[${at}][${index}]=x`));
    const plainMs = fastestMs(() => decodeForm(plain, BOUNDS));
    expect(fastestMs(() => decodeForm(hostile, BOUNDS))).toBeLessThan(plainMs * 4);
  });

  it('makes no room for the numbers below a large one', () => {
    const bytes = Buffer.from(joined(10_000, (at) => `k[${at}][1000]=x`));
    const beforeBytes = process.memoryUsage().heapUsed;
    const value = valueOf(decodeForm(bytes, BOUNDS));
    expect(process.memoryUsage().heapUsed - beforeBytes).toBeLessThan(60_000_000);
    expect(Object.keys(value as object)).toStrictEqual(['k']);
  });

  it.each([
    ['the same key', () => 'a=1'],
    ['empty brackets', () => 'a[]=1'],
    ['a value and a map at one key', (at: number) => (at % 2 === 0 ? 'a=1' : `a[x${at}]=1`)],
    ['broken escapes', () => 'a%=%FF%'],
  ])('takes time in proportion to the body with %s', (_, parameterAt) => {
    const small = Buffer.from(joined(1_000, parameterAt));
    const large = Buffer.from(joined(10_000, parameterAt));
    const smallMs = fastestMs(() => decodeForm(small, BOUNDS));
    expect(fastestMs(() => decodeForm(large, BOUNDS))).toBeLessThan(smallMs * 50);
  });
});

describe('decodeJson', () => {
  it('reads an object, with or without a byte order mark', () => {
    expect(valueOf(json('{"a":[1,"x",null,true,{}]}'))).toStrictEqual({ a: [1, 'x', null, true, {}] });
    expect(valueOf(json('\uFEFF{"a":1}'))).toStrictEqual({ a: 1 });
  });

  it.each(['[]', '"a"', '1', 'null', '{', '{"token":"s3cret"'])('refuses %s without quoting it', (text) => {
    expect(json(text)).toStrictEqual(refusal('expected a JSON object'));
  });

  it('refuses an empty body and bytes that are no UTF-8', () => {
    expect(json('')).toStrictEqual(refusal('the body is empty'));
    expect(decodeJson(Buffer.from('{"a":"\xff"}', 'latin1'), BOUNDS)).toStrictEqual(refusal('expected UTF-8'));
  });

  it('drops __proto__ at every level and keeps constructor', () => {
    const value = valueOf(json('{"__proto__":{"x":1},"a":[{"__proto__":1,"constructor":2}]}'));
    expect(value).toStrictEqual({ a: [{ constructor: 2 }] });
    expect(Object.keys(value as object)).toStrictEqual(['a']);
  });

  it('takes as many levels as its bound, refuses one more, and survives half a million', () => {
    const nested = (levels: number): string => `{"a":${'['.repeat(levels)}1${']'.repeat(levels)}}`;
    expect(json(nested(16)).ok).toBe(true);
    expect(json(nested(17))).toStrictEqual(refusal('nested deeper than 16 levels'));
    expect(json(nested(500_000))).toStrictEqual(refusal('nested deeper than 16 levels'));
  });

  it('takes keys of 256 characters, and refuses longer ones', () => {
    const key = 'k'.repeat(256);
    expect(json(JSON.stringify({ [key]: [{ [key]: 'v'.repeat(1000) }] })).ok).toBe(true);
    const refused = refusal('a key longer than 256 characters');
    expect(json(JSON.stringify({ [`${key}k`]: 1 }))).toStrictEqual(refused);
    expect(json(JSON.stringify({ a: [{ b: { [`${key}k`]: [] } }] }))).toStrictEqual(refused);
  });

  it('counts values and empty containers as parameters', () => {
    const bounds = { depthMax: 16, parametersMax: 3 };
    expect(json('{"a":[1,2],"b":[]}', bounds).ok).toBe(true);
    expect(json('{"a":[1,2],"b":[],"c":3}', bounds)).toStrictEqual(refusal('more than 3 parameters'));
    expect(json('{"a":[[],[],[],[]]}', bounds)).toStrictEqual(refusal('more than 3 parameters'));
  });
});
