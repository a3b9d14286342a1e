import { describe, expect, test } from '@jest/globals';
import { isAlive, isProcessId, looksLikeRedis, signalProcess } from '../../src/cli/redis/process-identity.js';

describe('a process id', () => {
  test.each([-1, 0, 1, -4711, Number.NaN, 1.5])('%p is the id of no single process that may be ended', (pid) => {
    expect(isProcessId(pid)).toBe(false);
    expect(isAlive(pid)).toBe(false);
    // SIGCONT does no harm, should the check ever be gone.
    expect(() => signalProcess(pid, 'SIGCONT')).toThrow(RangeError);
  });

  test('of this process is alive', () => {
    expect(isAlive(process.pid)).toBe(true);
  });

  test('of one that is gone may be signalled', () => {
    expect(() => signalProcess(999_999_999, 'SIGCONT')).not.toThrow();
  });
});

describe('a command line', () => {
  test.each([
    ['/usr/bin/redis-server 127.0.0.1:41877', true],
    ['valkey-server /data/redis/redis.conf', true],
    ['node dist/worker/main.js', false],
    ['', false],
  ])('%p is a Redis: %p', (command, expected) => {
    expect(looksLikeRedis(command)).toBe(expected);
  });
});
