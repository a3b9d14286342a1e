import { describe, expect, test } from '@jest/globals';
import { createLineFormat } from '../../src/cli/start/readable-log.js';

const format = createLineFormat({ colorize: false, nameWidth: 8 });

describe('a line for a person', () => {
  test('has the name of the process in front, then time, level, message and what else the record holds', () => {
    const record = { level: 'info', time: '2026-03-17T14:52:41.000Z', event: 'delivery.accepted', msg: 'accepted' };

    const line = format('worker', JSON.stringify({ ...record, name: 'worker', deliveryId: 'd1', attempt: 2 }));

    expect(line).toMatch(/^worker {3}\| \[\d\d:\d\d:41\.000\] INFO: accepted deliveryId=d1 attempt=2$/);
  });

  test.each(['plain text', '{"cut": "sho', '[1]'])('is shown as it came where it is no record: %p', (text) => {
    expect(format('ingress', text)).toBe(`ingress  | ${text}`);
  });

  test.each(['\u001B[2J', '\u009B2J', '\rworker   | ok', '\u0007'])('cannot steer the terminal: %j', (evil) => {
    // oxlint-disable-next-line no-control-regex -- they are what must not be there
    const control = /[\u0000-\u001F\u007F-\u009F]/;

    expect(format('ingress', evil)).not.toMatch(control);
    expect(format('ingress', JSON.stringify({ level: 'info', msg: evil, memberId: evil }))).not.toMatch(control);
  });

  test('has its name in front of every line of an error too', () => {
    const err = { type: 'Error', message: 'no', stack: 'Error: no\n    at here' };

    const lines = format('worker', JSON.stringify({ level: 'error', msg: 'failed', err })).split('\n');

    expect(lines.length).toBeGreaterThan(1);
    expect(lines.every((line) => line.startsWith('worker   | '))).toBe(true);
  });
});
