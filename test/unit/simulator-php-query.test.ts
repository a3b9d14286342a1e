import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { phpQuery } from '../../src/simulator/php-query.js';
import { FIXTURE_NAMES } from '../support/deliveries.js';

function fixture(name: string): { readonly json: Record<string, unknown>; readonly form: string } {
  const json = JSON.parse(readFileSync(`test/fixtures/${name}.json`, 'utf8')) as Record<string, unknown>;
  return { json, form: readFileSync(`test/fixtures/${name}.form`, 'utf8').trim() };
}

describe('the query that PHP writes', () => {
  test.each(FIXTURE_NAMES)('is %s to the letter', (name) => {
    const { json, form } = fixture(name);

    expect(phpQuery(json)).toBe(form);
  });

  test('has 1 and 0 for true and false', () => {
    expect(phpQuery({ yes: true, no: false })).toBe('yes=1&no=0');
  });

  test('has nothing for nulls, empty lists and empty maps, and keeps an empty text', () => {
    expect(phpQuery({ a: null, b: [], c: {}, d: { e: [null] }, f: undefined, g: '' })).toBe('g=');
  });

  test('numbers lists, and keeps the number of what comes after a null', () => {
    expect(phpQuery({ a: ['x', null, 'y'] })).toBe('a%5B0%5D=x&a%5B2%5D=y');
  });

  test('encodes all but letters, digits, - _ and ., with + for a space', () => {
    expect(phpQuery({ a: "Aa0-_. ~!*'()&=+%/é😀" })).toBe(
      'a=Aa0-_.+%7E%21%2A%27%28%29%26%3D%2B%25%2F%C3%A9%F0%9F%98%80',
    );
  });

  test('writes keys as it writes values', () => {
    expect(phpQuery({ 'a b': { 'c*': 1 } })).toBe('a+b%5Bc%2A%5D=1');
  });
});
