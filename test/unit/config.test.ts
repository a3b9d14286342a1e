import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ConfigError, isGiven, loadConfig } from '../../src/shared/config.js';

const KEY = Buffer.alloc(32, 1).toString('base64');

function problemsOf(env: NodeJS.ProcessEnv): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('loadConfig', () => {
  it('takes the documented defaults where nothing is set', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      redisUrl: undefined,
      queuePrefix: '{b24}',
      apiHost: '0.0.0.0',
      apiPort: 3000,
      eventsPath: '/events',
      bodyBytesMax: 1_048_576,
      dedupWindowSeconds: 86_400,
      dedupBy: 'content',
      deliveryConcurrency: 200,
      effectAttempts: 30,
      effectBackoffMs: 5000,
      effectBackoffMsMax: 21_600_000,
      keepFailedSeconds: 1_209_600,
    });
  });

  it('counts an empty variable as unset', () => {
    expect(loadConfig({ API_PORT: '', REDIS_URL: '  ' })).toMatchObject({ apiPort: 3000, redisUrl: undefined });
  });

  it('tells all problems at once, by the names of their variables, with what came and what is wanted', () => {
    const problems = problemsOf({
      API_PORT: '80 80',
      DEDUP_BY: 'id',
      DEDUP_WINDOW_SECONDS: '60',
      EVENTS_PATH: 'events',
    });
    expect(problems).toEqual(
      [
        'EVENTS_PATH: expected a path such as /events or /events/9f3c, other than /install, /connector, /connector/switch and /incoming, got "events"',
        'DEDUP_WINDOW_SECONDS: expected an integer from 3600 to 31536000, got "60"',
        'DEDUP_BY: expected one of content, handler-ts, got "id"',
      ].toSpliced(0, 0, 'API_PORT: expected an integer from 0 to 65535, got "80 80"'),
    );
  });

  it.each(['/install', '/connector', '/connector/switch', '/incoming'])('leaves %s to what is there', (path) => {
    expect(problemsOf({ EVENTS_PATH: path })).toEqual([expect.stringMatching(/^EVENTS_PATH: expected a path/)]);
    expect(loadConfig({ EVENTS_PATH: `${path}/9f3c` }).eventsPath).toBe(`${path}/9f3c`);
  });

  it.each([
    ['SECRET_KEY', 'hunter2hunter2'],
    ['SECRET_KEY_PREVIOUS', 'hunter2hunter2'],
    ['APPLICATION_TOKENS', 'hunter2hunter2'],
    ['FORWARD_SECRET', 'hunter2hunter2'],
    ['REDIS_URL', 'http://user:hunter2hunter2@127.0.0.1'],
    ['FORWARD_URL', 'http://user:hunter2hunter2@127.0.0.1/'],
  ])('names %s without its value when it is wrong', (name, value) => {
    const problems = problemsOf({ [name]: value });
    expect(problems.some((problem) => problem.startsWith(`${name}: expected`))).toBe(true);
    expect(problems.join('\n')).not.toContain('hunter2');
  });

  it('reads any variable from the file that NAME_FILE names, and refuses both at once', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'b24-config-')), 'key');
    writeFileSync(file, `${KEY}\n`);
    expect(loadConfig({ SECRET_KEY_FILE: file }).secretKey).toEqual(Buffer.alloc(32, 1));
    expect(problemsOf({ SECRET_KEY_FILE: file, SECRET_KEY: KEY })).toEqual([
      'SECRET_KEY: expected either SECRET_KEY or SECRET_KEY_FILE, got both',
    ]);
    expect(problemsOf({ API_PORT_FILE: `${file}.missing` })).toEqual([
      `API_PORT_FILE: the file cannot be read (ENOENT): ${file}.missing`,
    ]);
  });

  it('knows whether somebody chose a value, though it be the default, and from a file too', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'b24-config-')), 'port');
    writeFileSync(file, '9464\n');
    expect(isGiven({ API_OPS_PORT: '9464' }, 'apiOpsPort')).toBe(true);
    expect(isGiven({ API_OPS_PORT_FILE: file }, 'apiOpsPort')).toBe(true);
    expect(isGiven({ API_OPS_PORT: ' ', WORKER_OPS_PORT: '9465' }, 'apiOpsPort')).toBe(false);
  });

  it('wants a secret where events are forwarded, because they are always signed', () => {
    expect(problemsOf({ FORWARD_URL: 'http://127.0.0.1/hook' })).toEqual([
      expect.stringMatching(/^FORWARD_SECRET: expected a secret/),
    ]);
  });

  it('reads tokens of several portals, several of one, and one for all others', () => {
    const { applicationTokens } = loadConfig({ APPLICATION_TOKENS: 'a=1|2, b=x=y ,*=3' });
    expect([...applicationTokens]).toEqual([
      ['a', ['1', '2']],
      ['b', ['x=y']],
      ['*', ['3']],
    ]);
  });

  it.each(['a', 'a=', '=1', 'a=1|', 'a b=1'])('refuses the application tokens %j', (value) => {
    expect(problemsOf({ APPLICATION_TOKENS: value })).toHaveLength(1);
  });

  it('reads senders as addresses, networks and the published list', () => {
    expect(loadConfig({ SENDER_IPS: '10.0.0.0/8, ::1, bitrix24' }).senderIps).toEqual([
      '10.0.0.0/8',
      '::1',
      'bitrix24',
    ]);
    expect(problemsOf({ SENDER_IPS: '10.0.0.0/33' })).toHaveLength(1);
    expect(problemsOf({ SENDER_IPS: 'example.com' })).toHaveLength(1);
  });
});
