import { mkdtemp, readFile, realpath, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { NodeProcess } from '../support/node-process.js';
import { keysHolding } from '../support/redis-content.js';
import { waitUntil } from '../support/wait-until.js';

const EVENTS = 300;
/** As many as `npm start` prepares ports for. */
const PORTALS = 10;

let dataDir: string;
let env: NodeJS.ProcessEnv;
let launcher: NodeProcess;

beforeEach(async () => {
  dataDir = await realpath(await mkdtemp(join(tmpdir(), 'b24-tour-')));
  const { PATH } = process.env;
  env = {
    PATH,
    API_PORT: String(await findFreePort()),
    DATA_DIR: dataDir,
    API_HOST: '127.0.0.1',
    DISK_FREE_BYTES_MIN: '0',
  };
  launcher = new NodeProcess({ args: ['dist/cli/start.js'], env });
  await launcher.line(/Ctrl-C stops everything/);
});

afterEach(async () => {
  await launcher.kill('SIGTERM');
  await rm(dataDir, { recursive: true, force: true });
});

test('the tour: installed, every event answered through REST once, removed, and nothing of the portals is left', async () => {
  const args = [
    '--install',
    '--data-dir',
    dataDir,
    '--events',
    String(EVENTS),
    '--duplicates',
    '0.1',
    '--forgeries',
    '0.1',
  ];
  const tour = new NodeProcess({ args: ['dist/cli/main.js', 'simulate', ...args], env: { PATH: env.PATH } });
  expect({ code: await tour.exitCode(), said: tour.output() }).toMatchObject({ code: 0 });
  expect(tour.output()).toMatch(
    new RegExp(`${EVENTS} of ${EVENTS} messages exactly once, 0 more than once, 0 not at all`),
  );

  const removed = (): readonly string[] =>
    launcher.lines.flatMap((line) => /the app was removed there memberId=(\w+)/.exec(line)?.[1] ?? []);
  await waitUntil('all portals are removed', () => removed().length === PORTALS);
  const redisUrl = /redis:\/\/127\.0\.0\.1:\d+/.exec(await launcher.line(/Redis at redis:/))?.[0] ?? '';
  for (const memberId of removed()) {
    await waitUntil(`nothing is left of ${memberId}`, async () => (await keysHolding(redisUrl, memberId)).length === 0);
  }
  expect(await keysHolding(redisUrl, ':once:')).toEqual([]);
}, 180_000);

test('the credentials that the simulator shares can be read by their owner alone, and stay the same', async () => {
  const file = join(dataDir, 'simulator.json');
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  const before = await readFile(file, 'utf8');
  await launcher.kill('SIGTERM');
  launcher = new NodeProcess({ args: ['dist/cli/start.js'], env });
  await launcher.line(/Ctrl-C stops everything/);
  expect(await readFile(file, 'utf8')).toBe(before);
});
