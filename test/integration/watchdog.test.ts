import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ManagedChild } from '../../src/cli/start/managed-child.js';
import { formBody } from '../support/deliveries.js';
import { NodeProcess } from '../support/node-process.js';
import { waitUntil } from '../support/wait-until.js';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const TICK_MS = 50;
const MISSED_TICKS_MAX = 10;
const LIMIT_MS = TICK_MS * MISSED_TICKS_MAX;

let started: NodeProcess[] = [];

afterEach(async () => {
  await Promise.all(started.map((one) => one.kill()));
  started = [];
});

/** A process with a watchdog, which says "moves" from time to time, and blocks its event loop where it reads "block". */
function start(receiver?: { readonly url: string; readonly secrets: readonly string[] }): NodeProcess {
  const deps = { name: 'worker', receiver, tickMs: TICK_MS, missedTicksMax: MISSED_TICKS_MAX };
  const code = `
    import { startWatchdog } from './dist/shared/ops/watchdog.js';
    const logger = { warn: console.log, error: console.log };
    startWatchdog({ ...${JSON.stringify(deps)}, logger });
    setInterval(() => console.log('moves'), ${TICK_MS});
    process.stdin.once('data', () => {
      for (;;);
    });
  `;
  const one = new NodeProcess({ args: ['--inspect-port=0', '--input-type=module', '--eval', code] });
  started.push(one);
  return one;
}

async function block(one: NodeProcess): Promise<void> {
  await one.line(/moves/);
  one.child.stdin.write('block\n');
}

function linesOf(one: NodeProcess): readonly Record<string, unknown>[] {
  return one.lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the watchdog', () => {
  it('ends a process whose event loop is blocked by SIGKILL, and says so in its log', async () => {
    const blocked = start();
    await block(blocked);
    expect(await blocked.exitCode()).toBeNull();
    expect(blocked.child.signalCode).toBe('SIGKILL');
    expect(linesOf(blocked)).toEqual([
      {
        level: 'fatal',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        name: 'worker',
        event: 'process.wedged',
        msg: expect.stringContaining('has not moved'),
      },
    ]);
  });

  it('leaves a process alone that was frozen for longer than the limit', async () => {
    const frozen = start();
    await frozen.line(/moves/);
    // At another phase of its ticks each time; and which of its threads wakes first is chance.
    for (let phaseMs = 0; phaseMs < TICK_MS; phaseMs += 5) {
      await sleep(phaseMs);
      frozen.child.kill('SIGSTOP');
      const frozenAtMs = performance.now();
      await waitUntil('longer than the limit', () => performance.now() - frozenAtMs > LIMIT_MS * 1.2);
      const from = frozen.lines.length;
      frozen.child.kill('SIGCONT');
      await frozen.line(/moves/, { from });
    }
    const from = frozen.lines.length;
    await waitUntil('it moves on for longer than the limit', () => frozen.lines.length - from > MISSED_TICKS_MAX * 2);
    expect(frozen.child.signalCode).toBeNull();
    expect(frozen.output()).not.toContain('process.wedged');
  });

  it('leaves a process alone into which SIGUSR1 let a debugger: a breakpoint holds the event loop as well', async () => {
    const held = start();
    await held.line(/moves/);
    held.child.kill('SIGUSR1');
    await held.line(/Debugger listening/);
    const from = held.lines.length;
    await waitUntil('the event loop has moved since', () => held.lines.length - from > 3);
    await block(held);
    const heldAtMs = performance.now();
    await waitUntil('longer than the limit', () => performance.now() - heldAtMs > LIMIT_MS * 3);
    expect(held.child.signalCode).toBeNull();
    expect(held.output()).not.toContain('process.wedged');
  });

  it('tells ALERT_URL before it ends the process', async () => {
    const notes: string[] = [];
    const receiver = await listen(async (body, headers) => {
      new Webhook(SECRET).verify(body, headers);
      notes.push(body);
    });
    const blocked = start({ url: receiver.url, secrets: [SECRET] });
    await block(blocked);
    await blocked.exitCode();
    receiver.server.close();
    expect(notes.map((note) => JSON.parse(note) as unknown)).toEqual([
      expect.objectContaining({
        type: 'alert.firing',
        data: expect.objectContaining({ alert: 'process-wedged', instance: expect.stringMatching(/^worker@/) }),
      }),
    ]);
  });

  it('ends the process also where ALERT_URL never answers', async () => {
    const receiver = await listen(() => new Promise(() => undefined));
    const blocked = start({ url: receiver.url, secrets: [SECRET] });
    await block(blocked);
    await blocked.exitCode();
    expect(blocked.child.signalCode).toBe('SIGKILL');
    receiver.server.closeAllConnections();
    receiver.server.close();
  });
});

describe('an ingress that is wedged', () => {
  let dir: string;
  let child: ManagedChild;

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'b24-test-wedged-'));
  });

  afterEach(async () => {
    child.kill();
    await child.ended;
    await rm(dir, { recursive: true, force: true });
  });

  /** The ingress, which blocks its event loop at SIGUSR2. */
  async function writeProgram(): Promise<string> {
    const file = join(dir, 'wedging-ingress.mjs');
    const code = `
      import { runProcess } from ${JSON.stringify(pathToFileURL('dist/shared/process-lifecycle.js').href)};
      import { startIngress } from ${JSON.stringify(pathToFileURL('dist/api/start-ingress.js').href)};
      console.log(JSON.stringify({ event: 'test.pid', pid: process.pid }));
      process.on('SIGUSR2', () => {
        for (;;);
      });
      const watchdog = { tickMs: ${TICK_MS}, missedTicksMax: 20 };
      await runProcess({ name: 'ingress', start: startIngress, opsPort: 'apiOpsPort', watchdog });
    `;
    await writeFile(file, code);
    return file;
  }

  it('is ended, and started anew by who keeps it, with the events that it had accepted', async () => {
    const lines: string[] = [];
    const told = (event: string): Record<string, unknown>[] =>
      lines.filter((line) => line.includes(`"${event}"`)).map((line) => JSON.parse(line) as Record<string, unknown>);
    const settings = { API_HOST: '127.0.0.1', API_PORT: '0', API_OPS_PORT: '0', DATA_DIR: dir };
    child = new ManagedChild({
      program: { name: 'ingress', file: await writeProgram() },
      env: { PATH: process.env.PATH, ...settings, REDIS_URL: 'redis://127.0.0.1:1', DISK_FREE_BYTES_MIN: '0' },
      onLine: (line) => void lines.push(line),
      say: (line) => void lines.push(line),
      onFatal: () => undefined,
    });
    const { url = '' } = await child.start(30_000);
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { status } = await fetch(url, { method: 'POST', body: formBody('ONAPPUPDATE'), headers });
    expect(status).toBe(200);

    process.kill(Number(told('test.pid')[0]?.pid), 'SIGUSR2');

    await waitUntil('another one listens', () => told('ingress.listening').length === 2);
    expect(told('process.wedged')).toHaveLength(1);
    expect(lines).toContain('ingress was ended by SIGKILL by itself; starting it again in 0.5 s');
    expect(told('journal.adopted')).toHaveLength(1);
  });
});

async function listen(
  take: (body: string, headers: Record<string, string>) => Promise<void>,
): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer((request, response) => {
    void text(request)
      .then((body) => take(body, request.headers as Record<string, string>))
      .then(() => response.writeHead(204).end());
  });
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done);
  });
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/alerts` };
}
