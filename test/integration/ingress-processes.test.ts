import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { formBody } from '../support/deliveries.js';
import { NodeProcess } from '../support/node-process.js';
import { waitUntil } from '../support/wait-until.js';

let dataDir: string;
let port: number;
let ingress: NodeProcess;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'b24-test-processes-'));
  port = await findFreePort();
});

afterEach(async () => {
  await ingress.kill('SIGTERM');
  await rm(dataDir, { recursive: true, force: true });
});

/** Nothing listens where it looks for Redis: the ingress works all the same. */
function start(env: NodeJS.ProcessEnv = {}): NodeProcess {
  const settings = {
    API_HOST: '127.0.0.1',
    API_PORT: String(port),
    DATA_DIR: dataDir,
    REDIS_URL: 'redis://127.0.0.1:1',
  };
  ingress = new NodeProcess({
    args: ['dist/api/main.js'],
    env: { ...process.env, DISK_FREE_BYTES_MIN: '0', ...settings, ...env },
  });
  return ingress;
}

async function post(): Promise<number> {
  const headers = { 'content-type': 'application/x-www-form-urlencoded', connection: 'close' };
  const url = `http://127.0.0.1:${port}/events`;
  const response = await fetch(url, { method: 'POST', body: formBody('ONAPPUPDATE'), headers });
  return response.status;
}

function listening(): number {
  return ingress.lines.filter((line) => line.includes('ingress.listening')).length;
}

async function children(): Promise<number[]> {
  const tasks = await readdir(`/proc/${ingress.pid}/task`);
  const lists = await Promise.all(tasks.map((task) => readFile(`/proc/${ingress.pid}/task/${task}/children`, 'utf8')));
  return lists.join(' ').trim().split(/\s+/).filter(Boolean).map(Number);
}

describe('the ingress as a process', () => {
  it('takes events while Redis is down, and ends with 0 at SIGTERM', async () => {
    await start().line(/ingress\.listening/);
    expect(await post()).toBe(200);
    ingress.child.kill('SIGTERM');
    expect(await ingress.exitCode()).toBe(0);
  });

  it('ends with 1 and names API_PORT where the port is taken', async () => {
    const other: Server = createServer().listen(port, '127.0.0.1');
    expect(await start().exitCode()).toBe(1);
    expect(ingress.output()).toContain('API_PORT');
    other.close();
  });

  it('ends with 78 before it listens where a setting is wrong', async () => {
    expect(await start({ API_PORT: '80 80' }).exitCode()).toBe(78);
    expect(listening()).toBe(0);
  });
});

describe('several ingress processes', () => {
  it('share the port, each with a journal of its own', async () => {
    start({ API_PROCESSES: '2' });
    await waitUntil('both listen', () => listening() === 2);
    expect(await Promise.all(Array.from({ length: 10 }, post))).toEqual(Array.from({ length: 10 }, () => 200));
    expect(await readdir(join(dataDir, 'journal'))).toHaveLength(2);
  });

  it('start one anew that was killed, and answer meanwhile', async () => {
    start({ API_PROCESSES: '2' });
    await waitUntil('both listen', () => listening() === 2);
    const [victim] = await children();
    process.kill(victim ?? 0, 'SIGKILL');
    await ingress.line(/ingress\.process_ended/);
    expect(await post()).toBe(200);
    await waitUntil('another one listens', () => listening() === 3);
  });

  it('all end at SIGTERM, with 0', async () => {
    start({ API_PROCESSES: '2' });
    await waitUntil('both listen', () => listening() === 2);
    const pids = await children();
    ingress.child.kill('SIGTERM');
    expect(await ingress.exitCode()).toBe(0);
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  });

  it('end by themselves when the first process is killed', async () => {
    start({ API_PROCESSES: '2' });
    await waitUntil('both listen', () => listening() === 2);
    const pids = await children();
    ingress.child.kill('SIGKILL');
    await waitUntil('they are gone', () => pids.every((pid) => !isAlive(pid)));
    expect(ingress.lines.filter((line) => line.includes('process.stopping'))).toHaveLength(2);
  });

  it('end with 78 where the settings are wrong for each of them', async () => {
    await writeFile(join(dataDir, 'secret.key'), 'too short');
    expect(await start({ API_PROCESSES: '2' }).exitCode()).toBe(78);
  });

  it('end with 1 where the port is taken', async () => {
    const other: Server = createServer().listen(port, '127.0.0.1');
    expect(await start({ API_PROCESSES: '2' }).exitCode()).toBe(1);
    expect(ingress.output()).toContain('API_PORT');
    other.close();
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
