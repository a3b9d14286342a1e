import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { doctorEnvironment, runDoctor } from '../support/doctor-run.js';
import { RECEIVER_SECRET } from '../support/receiver.js';
import { describeWithRedisBinary, startRedisServer, type TestRedis } from '../support/redis-server.js';

let server: TestRedis;
let dataDir: string;
let env: NodeJS.ProcessEnv;
/** What a test has started. */
let mend: (() => Promise<unknown>)[];

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'b24-doctor-'));
  mend = [];
  env = await doctorEnvironment(server?.url, dataDir);
});

afterEach(async () => {
  for (const undo of mend) await undo();
  await rm(dataDir, { recursive: true, force: true });
});

describeWithRedisBinary('doctor, of what it was told little of', () => {
  beforeAll(async () => {
    server = await startRedisServer({ maxmemory: '64mb' });
  });
  afterAll(() => server.remove());

  it('keeps a program that stands still apart from another program', async () => {
    const frozen = createServer((socket) => void socket.resume());
    await new Promise<void>((resolve) => frozen.listen(Number(env.API_PORT), '127.0.0.1', resolve));
    mend.push(() => new Promise((resolve) => frozen.close(resolve)));
    const run = await runDoctor({ ...env, WORKER_OPS_PORT: env.API_PORT });
    expect(run.ids('fail')).toEqual(['ports.api', 'ports.worker-ops', 'processes.worker']);
    expect(run.of('ports.api')[0]).toMatchObject({
      found: `something takes connections at ${env.API_PORT} and does not answer in time`,
      advice: expect.stringContaining('our own process stands still'),
    });
  });

  it('says from inside a container that it does not see what runs in another one', async () => {
    await mkdir(join(dataDir, 'journal', '20260101T000000000Z-abc'), { recursive: true });
    const run = await runDoctor(env, { isInContainer: true });
    const ids = ['ports.api', 'ports.worker-ops', 'processes.ingress', 'processes.worker', 'disk.journals'];
    for (const id of ids)
      expect(run.of(id)).toEqual([
        expect.objectContaining({
          status: 'ok',
          found: expect.stringMatching(/^not looked at: from inside a container/),
        }),
      ]);
  });

  it('says that the portal that is asked for is not known, where B24_CLIENT_ID is not given', async () => {
    const run = await runDoctor(env, { portal: 'nosuch' });
    expect(run.of('portals.record')).toEqual([expect.objectContaining({ status: 'fail', member_id: 'nosuch' })]);
    expect(run.exitCode).toBe(1);
    expect((await runDoctor(env, { portal: 'portal-a' })).ids('fail')).toEqual([]);
  });

  it('says that alerts and traces cannot go where they are to go', async () => {
    const nowhere = `http://127.0.0.1:${await findFreePort()}`;
    const more = {
      ALERT_URL: `${nowhere}/secret-path`,
      ALERT_SECRET: RECEIVER_SECRET,
      OTEL_EXPORTER_OTLP_ENDPOINT: nowhere,
    };
    const run = await runDoctor({ ...env, ...more });
    expect(run.ids('fail')).toEqual(['notices.alert-url', 'notices.otlp-endpoint']);
    expect(run.text).not.toContain('secret-path');
  });
});
