import { expect, it } from '@jest/globals';
import { isYes } from '../../src/shared/bitrix24/json-field.js';

it('takes for yes what JSON and PHP say for it, and nothing else', () => {
  expect([true, 'Y', '1', 1].map(isYes)).toEqual([true, true, true, true]);
  const others = [false, 'N', '0', 0, null, undefined, '', 'true', 'y', 2, [], {}, [true]];
  expect(others.filter(isYes)).toEqual([]);
});
