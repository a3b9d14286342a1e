import { describe, expect, test } from '@jest/globals';
import { simulateCommand } from '../../src/cli/simulate.js';

describe('the options', () => {
  const parse = (...args: string[]): unknown => {
    const { signal } = new AbortController();
    const host = { env: {}, signal, write: () => undefined, say: () => undefined };
    const command = simulateCommand(host)
      .exitOverride()
      .configureOutput({ writeErr: () => undefined });
    return command
      .action(() => undefined)
      .parse(args, { from: 'user' })
      .opts();
  };

  test('take a share, or a tenth where none is named', () => {
    const given = ['--install', '--duplicates', '0.5', '--forgeries', '--no-tokens', '--events', '7'];
    expect(parse(...given, '--customers', '0')).toMatchObject({
      customers: 0,
      duplicates: 0.5,
      forgeries: 0.1,
      sameSecond: 0,
      tokens: false,
      events: 7,
      seed: 1,
    });
  });

  test.each([
    ['--duplicates', '2'],
    ['--events', '0'],
    ['--rate', '-1'],
    ['--seed', 'x'],
    ['--portals', '101'],
    ['--timeout-seconds', '0'],
  ])('refuse %s %s', (...args) => {
    expect(() => parse('--install', ...args)).toThrow('Expected');
  });

  test('of the tour are refused by their names without it', () => {
    expect(() => parse('--events', '5', '--json', '--no-tokens', '--portals', '2')).toThrow(
      /^error: --events, --no-tokens, --json: only the tour heeds this; expected --install with it$/,
    );
    expect(parse('--portals', '2', '--url', 'http://127.0.0.1:3000/events', '--data-dir', 'data')).toMatchObject({
      portals: 2,
    });
  });
});
