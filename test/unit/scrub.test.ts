import { describe, expect, it } from '@jest/globals';
import { scrub } from '../../src/worker/scrub.js';

describe('scrub', () => {
  it('takes every secret of the event out of a text, however often and however deep it stands', () => {
    const secrets = { auth: { access_token: 'abcdef123', more: { deep: ['zzzzzz'] } }, data: ['qwertz'] };
    expect(scrub('GET /?auth=abcdef123&x=abcdef123 zzzzzz qwertz', secrets)).toBe(
      'GET /?auth=[sealed]&x=[sealed] [sealed] [sealed]',
    );
  });
});
