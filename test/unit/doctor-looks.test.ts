import { describe, expect, it } from '@jest/globals';
import { ok } from '../../src/cli/doctor/finding.js';
import { runLooks } from '../../src/cli/doctor/look.js';
import { readConfiguration } from '../../src/cli/doctor/read-configuration.js';
import { lineOf } from '../../src/cli/doctor/report.js';

describe('looks', () => {
  it('end when their time is over, each by itself, and are told in their order', async () => {
    const findings = await runLooks([
      { name: 'hangs', advice: 'end it', timeoutMs: 20, look: () => new Promise(() => undefined) },
      { name: 'throws', advice: 'catch it', look: () => Promise.reject(new Error('no such thing')) },
      { name: 'finds', advice: '', look: async () => [ok('finds', 'one'), ok('finds', 'another')] },
    ]);
    expect(findings).toEqual([
      { name: 'hangs', status: 'fail', found: 'the look at it took longer than 20 ms', advice: 'end it' },
      { name: 'throws', status: 'fail', found: 'no such thing', advice: 'catch it' },
      ok('finds', 'one'),
      ok('finds', 'another'),
    ]);
  });

  it('are written with what to do, and whose they are', () => {
    const check = {
      id: 'portals.other-addresses',
      group: 'portals',
      status: 'warn',
      found: 'two',
      advice: 'unbind',
    } as const;
    expect(lineOf({ ...check, member_id: 'abc' })).toBe('  warn  other addresses of abc — two; unbind');
    expect(lineOf({ ...check, status: 'ok', advice: null })).toBe('  ok    other addresses — two');
  });
});

describe('a configuration that is wrong', () => {
  it('is read without what is wrong, and without what only that made wrong', () => {
    const forward = { FORWARD_URL: 'https://x.example', FORWARD_SECRET: 'short' };
    const read = readConfiguration({ ...forward, API_PORT: '80 80', QUEUE_PREFIX: '{mine}' });
    expect(read.problems).toHaveLength(2);
    expect([...read.wrong].toSorted()).toEqual(['API_PORT', 'FORWARD_SECRET', 'FORWARD_URL']);
    expect(read.config).toMatchObject({ queuePrefix: '{mine}', apiPort: 3000, forwardUrl: undefined });
  });

  it('is not wrong in a variable that only a value speaks of', () => {
    const { wrong } = readConfiguration({ API_PORT: 'REDIS_URL' });
    expect([...wrong]).toEqual(['API_PORT']);
  });

  it('is read by the name of a file that is not there, too', () => {
    const { problems, config } = readConfiguration({ SECRET_KEY_FILE: '/no/such/file' });
    expect(problems).toEqual([expect.stringMatching(/^SECRET_KEY_FILE: /)]);
    expect(config.secretKey).toBeUndefined();
  });
});
