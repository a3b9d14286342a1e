import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { formBody } from '../support/deliveries.js';

/** What a process asked of the system, in the order in which it was done. */
type Call = 'record written' | 'record synced' | 'answer sent';

const canTrace = haveStrace();
if (!canTrace)
  process.stderr.write('skipped: the trace of disk before answer (strace is missing and cannot be installed)\n');

function haveStrace(): boolean {
  const works = (): boolean => spawnSync('strace', ['-V']).status === 0;
  if (works()) return true;
  if (process.getuid?.() !== 0) return false;
  const installed = spawnSync('apt-get', ['install', '-y', 'strace'], { stdio: 'ignore', timeout: 120_000 });
  return installed.status === 0 && works();
}

let dir: string;
let child: ChildProcess;
let url: string;

beforeEach(async () => {
  if (!canTrace) return;
  dir = await mkdtemp(join(tmpdir(), 'b24-test-trace-'));
  const trace = [
    '-f',
    '-y',
    '-s',
    '64',
    '-o',
    join(dir, 'trace'),
    '-e',
    'trace=fdatasync,fsync,write,writev,sendto,sendmsg',
  ];
  const env = {
    ...process.env,
    API_HOST: '127.0.0.1',
    API_PORT: '0',
    DATA_DIR: join(dir, 'data'),
    DISK_FREE_BYTES_MIN: '0',
  };
  child = spawn('strace', [...trace, process.execPath, 'dist/api/main.js'], { env: { ...env, REDIS_URL: '' } });
  url = await addressOf(child);
});

afterEach(async () => {
  if (!canTrace) return;
  const ended = once(child, 'exit');
  for (const pid of childrenOf(child)) process.kill(pid, 'SIGTERM');
  await ended;
  await rm(dir, { recursive: true, force: true });
});

async function addressOf(process: ChildProcess): Promise<string> {
  if (!process.stdout) throw new Error('its output is not piped');
  for await (const line of createInterface({ input: process.stdout })) {
    const told = JSON.parse(line) as { event: string; url: string };
    if (told.event === 'ingress.listening') return told.url;
  }
  throw new Error('it ended before it listened');
}

function childrenOf(process: ChildProcess): number[] {
  const pids = execFileSync('ps', ['-o', 'pid=', '--ppid', String(process.pid)], { encoding: 'utf8' });
  return pids.trim().split(/\s+/).map(Number);
}

/** Calls that were begun and ended on two lines count where they ended. */
function callsIn(trace: string): Call[] {
  const begun = new Map<string, string>();
  const calls: Call[] = [];
  for (const line of trace.split('\n')) {
    const pid = line.split(' ', 1)[0] ?? '';
    if (line.includes('<unfinished ...>')) begun.set(pid, line);
    else {
      const call = callIn(line.includes(' resumed>') ? (begun.get(pid) ?? '') : line);
      if (call) calls.push(call);
    }
  }
  return calls;
}

function callIn(line: string): Call | undefined {
  if (/ (write|writev)\(\d+<[^>]*\.log>/.test(line)) return 'record written';
  if (/ (fdatasync|fsync)\(\d+<[^>]*\.log>/.test(line)) return 'record synced';
  return line.includes('HTTP/1.1 200') ? 'answer sent' : undefined;
}

(canTrace ? describe : describe.skip)('the ingress, by a trace of its system calls', () => {
  it('writes the record, syncs it, and only then sends the answer', async () => {
    for (let count = 0; count < 3; count += 1) {
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const response = await fetch(url, { method: 'POST', body: formBody('ONIMCONNECTORMESSAGEADD'), headers });
      expect(response.status).toBe(200);
    }

    const calls = callsIn(await readFile(join(dir, 'trace'), 'utf8'));

    const one: Call[] = ['record written', 'record synced', 'answer sent'];
    expect(calls).toEqual([...one, ...one, ...one]);
  });
});
