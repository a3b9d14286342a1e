import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FIXTURE_NAMES, formBody } from '../support/deliveries.js';
import { RawSender } from '../support/raw-http.js';
import { startProcess, type SystemProcess } from '../support/system.js';
import { useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const NO_REDIS = 'redis://127.0.0.1:1';

let dataDir: string;
let ingress: SystemProcess;
let url: string;
let opsUrl: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'b24-test-ops-'));
});

afterEach(async () => {
  ingress.signal('SIGCONT');
  ingress.signal('SIGTERM');
  await ingress.ended();
  await rm(dataDir, { recursive: true, force: true });
});

function launch(env: Readonly<Record<string, string>>): SystemProcess {
  const ports = { API_HOST: '127.0.0.1', API_PORT: '0', API_OPS_PORT: '0' };
  const settings = { ...ports, DATA_DIR: dataDir, REDIS_URL: NO_REDIS, DISK_FREE_BYTES_MIN: '0' };
  return startProcess('dist/api/main.js', { ...settings, ...env });
}

async function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
  ingress = launch(env);
  const [told] = (await once(ingress.child, 'message')) as [{ readonly url: string; readonly opsUrl: string }];
  ({ url, opsUrl } = told);
}

async function post(body: string): Promise<number> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', connection: 'close' };
  const response = await fetch(url, { method: 'POST', body, headers });
  return response.status;
}

interface Ready {
  readonly status: number;
  readonly body: {
    readonly problems: readonly string[];
    readonly warnings: readonly string[];
    readonly [fact: string]: unknown;
  };
}

async function ready(): Promise<Ready> {
  const response = await fetch(`${opsUrl}/readyz`);
  return { status: response.status, body: (await response.json()) as Ready['body'] };
}

/** Every line of a metric, by its labels as they are written. */
async function metrics(): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${opsUrl}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

function received(event: string, result: string): string {
  return `b24_events_received_total{event="${event}",result="${result}"}`;
}

describe('the metrics of the ingress', () => {
  let shared: SharedRedisUse;

  beforeEach(() => {
    shared = useSharedRedis();
  });

  afterEach(() => shared.close());

  it('count each POST by its event and its answer, and tell that the journal is empty once Redis has all', async () => {
    await start({ REDIS_URL: shared.url, QUEUE_PREFIX: shared.prefix });
    for (const name of FIXTURE_NAMES) expect(await post(formBody(name))).toBe(200);
    expect(await post('nothing')).toBe(400);
    const quarantined = formBody('ONIMCONNECTORMESSAGEADD', { 'data[LINE]': 'not a line' });
    expect(await post(quarantined)).toBe(200);

    await waitUntil('the journal is empty', async () => (await metrics()).get('b24_journal_records') === 0);
    const seen = await metrics();
    expect(seen.get(received('ONIMCONNECTORMESSAGEADD', 'accepted'))).toBe(2);
    expect(seen.get(received('ONIMCONNECTORMESSAGEADD', 'quarantined'))).toBe(1);
    expect(seen.get(received('ONIMCONNECTORSTATUSDELETE', 'accepted'))).toBe(3);
    expect(seen.get(received('other', 'accepted'))).toBe(1);
    expect(seen.get(received('other', 'invalid_event'))).toBe(1);
    expect(seen.get('b24_ack_duration_seconds_count')).toBe(FIXTURE_NAMES.length + 1);
    expect(seen.get('b24_journal_oldest_age_seconds')).toBe(0);
    expect(seen.get('b24_journal_writable')).toBe(1);
    expect(seen.get('b24_redis_reachable')).toBe(1);
    expect(seen.get('process_resident_memory_bytes')).toBeGreaterThan(0);
    expect(await ready()).toMatchObject({ status: 200, body: { warnings: [], journalRecords: 0 } });
  });
});

describe('a flood of events with names of the sender’s own making', () => {
  it('makes no new series', async () => {
    await start();
    const flood = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent += 1) {
        const name = `ON${randomBytes(8).toString('hex').toUpperCase()}`;
        expect(await post(formBody('ONCRMDEALUPDATE', { event: name }))).toBe(200);
      }
    };
    const namesOf = async (): Promise<string[]> =>
      [...(await metrics()).keys()].filter((name) => name.startsWith('b24_'));
    await flood(1);
    const before = await namesOf();
    await flood(100);
    expect(await namesOf()).toEqual(before);
    expect((await metrics()).get(received('other', 'accepted'))).toBe(101);
  });
});

describe('the readiness of the ingress', () => {
  it('stays while Redis is down, with a warning, and tells what waits', async () => {
    await start();
    for (let sent = 0; sent < 3; sent += 1) expect(await post(formBody('ONAPPUPDATE'))).toBe(200);
    await waitUntil('the drain has failed', async () => (await metrics()).get('b24_redis_reachable') === 0);
    expect(await ready()).toMatchObject({
      status: 200,
      body: { status: 'ready', problems: [], warnings: [expect.stringContaining('Redis')], journalRecords: 3 },
    });
    expect((await metrics()).get('b24_journal_oldest_age_seconds')).toBeGreaterThan(0);
    const isWaitingLong = async (): Promise<boolean> => (await ready()).body.warnings.length === 2;
    await waitUntil('a warning of what waits for long', isWaitingLong);
  });

  it('ends where the disk has less room than it must have; the process lives', async () => {
    await start({ DISK_FREE_BYTES_MIN: String(Number.MAX_SAFE_INTEGER) });
    expect(await post(formBody('ONAPPUPDATE'))).toBe(503);
    expect(await ready()).toMatchObject({
      status: 503,
      body: { status: 'not ready', problems: [expect.stringContaining('DISK_FREE_BYTES_MIN')] },
    });
    expect((await fetch(`${opsUrl}/healthz`)).status).toBe(200);
    const seen = await metrics();
    expect(seen.get('b24_journal_writable')).toBe(0);
    expect(seen.get(received('ONAPPUPDATE', 'storage_unavailable'))).toBe(1);
  });

  it('ends at SIGTERM, while what is under way is still answered', async () => {
    await start();
    const body = formBody('ONAPPUPDATE');
    const sender = await RawSender.connect(url);
    const head = `POST /events HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-www-form-urlencoded\r\n`;
    sender.write(`${head}content-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`);
    await waitUntil('the process has begun to read', async () => (await ready()).status === 200);
    ingress.signal('SIGTERM');
    await waitUntil('it is not ready', async () => (await ready()).status === 503);
    expect((await ready()).body.problems).toEqual(['stopping']);
    sender.write(body.slice(10));
    expect((await sender.answer()).status).toBe(200);
    expect(await ingress.ended()).toBe(0);
  });
});

describe('an ops port that is taken', () => {
  const DEFAULT = '9464';
  let other: Server;

  beforeEach(async () => {
    other = createServer();
    // Another program of this machine may have it, and that will do.
    await new Promise(
      (resolve) => void other.once('error', resolve).listen(Number(DEFAULT), '127.0.0.1', () => resolve(0)),
    );
  });

  afterEach(() => void other.close());

  it('keeps the ingress from starting where somebody chose it, though it be the default', async () => {
    ingress = launch({ API_OPS_PORT: DEFAULT });
    expect(await ingress.ended()).toBe(1);
    expect(ingress.output()).toContain(`API_OPS_PORT: port ${DEFAULT} is taken by another program`);
  });

  it('gives way to a free one where nobody chose it', async () => {
    await start({ API_OPS_PORT: '' });
    expect(new URL(opsUrl).port).not.toBe(DEFAULT);
    expect(ingress.logged('ops.port_taken')).toHaveLength(1);
  });
});

const isRoot = process.getuid?.() === 0;
if (!isRoot) process.stderr.write('skipped: readiness on a disk that fills (needs root, to mount a small tmpfs)\n');

(isRoot ? describe : describe.skip)('a disk that fills', () => {
  beforeEach(() => {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', dataDir]);
  });

  afterEach(async () => {
    ingress.signal('SIGKILL');
    await ingress.ended();
    execFileSync('umount', [dataDir]);
  });

  it('ends the readiness, which comes back when there is room again', async () => {
    await start({ DISK_FREE_BYTES_MIN: String(16 * 1_048_576) });
    expect((await ready()).status).toBe(200);
    await writeFile(join(dataDir, 'ballast'), Buffer.alloc(56 * 1_048_576));
    await waitUntil('it is not ready', async () => (await ready()).status === 503);
    await rm(join(dataDir, 'ballast'));
    await waitUntil('it is ready again', async () => (await ready()).status === 200);
    expect(await post(formBody('ONAPPUPDATE'))).toBe(200);
  });
});

const canTrace = spawnSync('strace', ['-V']).status === 0;
if (!canTrace) process.stderr.write('skipped: readiness on a disk that hangs (needs strace, to delay its writes)\n');

(canTrace ? describe : describe.skip)('a disk that hangs', () => {
  it('is seen by the readiness while the write is under way', async () => {
    await start();
    const delays = 'inject=fdatasync,fsync:delay_enter=9000000';
    const tracer = spawn('strace', ['-f', '-p', String(ingress.pid), '-e', 'trace=fdatasync,fsync', '-e', delays]);
    await once(tracer.stderr, 'data');
    const posted = post(formBody('ONAPPUPDATE'));
    await waitUntil('it is not ready', async () => (await ready()).status === 503);
    expect((await ready()).body.problems).toEqual([expect.stringContaining('has been under way for')]);
    expect(await posted).toBe(200);
    tracer.kill('SIGINT');
    await once(tracer, 'exit');
    await waitUntil('it is ready again', async () => (await ready()).status === 200);
  });
});

describe('several ingress processes', () => {
  async function children(): Promise<number[]> {
    const text = await readFile(`/proc/${ingress.pid}/task/${ingress.pid}/children`, 'utf8');
    return text.trim().split(' ').map(Number);
  }

  it('are told of by the first: what each counted is added up', async () => {
    await start({ API_PROCESSES: '2' });
    for (let sent = 0; sent < 10; sent += 1) expect(await post(formBody('ONAPPUPDATE'))).toBe(200);
    const seen = await metrics();
    expect(seen.get(received('ONAPPUPDATE', 'accepted'))).toBe(10);
    expect(seen.get('b24_ack_duration_seconds_count')).toBe(10);
    expect(seen.get('b24_journal_records')).toBe(10);
    expect(seen.get('b24_journal_writable')).toBe(1);
    expect(await ready()).toMatchObject({
      status: 200,
      body: { problems: [], journalRecords: 10, processes: 2, processesReady: 2 },
    });
  });

  it('are ready while one of them is, and say which one does not answer', async () => {
    await start({ API_PROCESSES: '2' });
    const [frozen = 0] = await children();
    process.kill(frozen, 'SIGSTOP');
    try {
      const { status, body } = await ready();
      expect([status, body.problems, body.processesReady]).toEqual([200, [], 1]);
      expect(body.warnings).toContain(`process ${frozen} does not answer`);
      expect((await metrics()).get('b24_journal_writable')).toBe(1);
    } finally {
      process.kill(frozen, 'SIGCONT');
    }
    await waitUntil('both answer', async () => (await ready()).body.processesReady === 2);
  });
});
