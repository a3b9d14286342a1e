import { connect, createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Counter } from 'prom-client';
import { findFreePort } from '../../src/cli/free-port.js';
import { createLogger } from '../../src/shared/logger.js';
import { createOps, type ProcessOps, type Readiness } from '../../src/shared/ops/ops.js';
import { startOpsServer, type ListenPort, type OpsServer } from '../../src/shared/ops/ops-server.js';
import { RawSender } from '../support/raw-http.js';
import { waitUntil } from '../support/wait-until.js';

const WELL: Readiness = { problems: [], warnings: [], facts: {} };

let ops: ProcessOps;
let server: OpsServer | undefined;
let lines: string[];

beforeEach(() => {
  ops = createOps();
  lines = [];
});

afterEach(() => server?.close());

async function start(port: Partial<ListenPort> = {}): Promise<string> {
  const logger = createLogger('info', 'test', { write: (line) => void lines.push(line) });
  const whole = { variable: 'API_OPS_PORT', number: 0, isChosen: true, ...port };
  server = undefined;
  server = await startOpsServer({ host: '127.0.0.1', port: whole, view: ops, logger });
  return server.url;
}

async function ready(url: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${url}/readyz`);
  return { status: response.status, body: await response.json() };
}

describe('/readyz', () => {
  it('says that the process is starting until somebody can tell', async () => {
    expect(await ready(await start())).toEqual({
      status: 503,
      body: { status: 'starting', problems: [], warnings: [] },
    });
  });

  it('is 200 with the facts where there is no problem, warnings or not', async () => {
    ops.readyWhen(() => ({ problems: [], warnings: ['Redis is away'], facts: { journalRecords: 3 } }));
    const body = { status: 'ready', problems: [], warnings: ['Redis is away'], journalRecords: 3 };
    expect(await ready(await start())).toEqual({ status: 200, body });
  });

  it('is 503 with the problems where there are any', async () => {
    ops.readyWhen(() => ({ ...WELL, problems: ['the journal is closed'] }));
    const body = { status: 'not ready', problems: ['the journal is closed'], warnings: [] };
    expect(await ready(await start())).toEqual({ status: 503, body });
  });

  it('takes a look that does not end for a problem', async () => {
    ops.readyWhen(() => new Promise(() => undefined));
    const { status, body } = await ready(await start());
    expect(status).toBe(503);
    expect(body).toMatchObject({ problems: ['the look took longer than 2 s'] });
  });

  it('takes a look that fails for a problem, and does not repeat what the error says', async () => {
    ops.readyWhen(() => Promise.reject(new Error('redis://user:secret@host')));
    const { status, body } = await ready(await start());
    expect(status).toBe(503);
    expect(body).toMatchObject({ problems: ['the look failed (unknown)'] });
  });

  it('is 503 as soon as the process is stopping', async () => {
    ops.readyWhen(() => WELL);
    const url = await start();
    expect((await ready(url)).status).toBe(200);
    ops.stopping();
    expect(await ready(url)).toMatchObject({ status: 503, body: { status: 'not ready', problems: ['stopping'] } });
  });

  it('looks once for all who ask at one time', async () => {
    let looks = 0;
    let end: (readiness: Readiness) => void = () => undefined;
    ops.readyWhen(() => {
      looks += 1;
      return new Promise((resolve) => (end = resolve));
    });
    const sender = await RawSender.connect(await start());
    sender.write('GET /readyz HTTP/1.1\r\nhost: test\r\n\r\n'.repeat(3));
    await waitUntil('it looks', () => looks > 0);
    end(WELL);
    for (let answers = 0; answers < 3; answers += 1) expect((await sender.answer()).status).toBe(200);
    sender.destroy();
    expect(looks).toBe(1);
  });
});

describe('/metrics', () => {
  it('tells what is in the registry, as Prometheus reads it', async () => {
    new Counter({ name: 'b24_tries_total', help: 'Tries', registers: [ops.registry] }).inc(2);
    const response = await fetch(`${await start()}/metrics`);
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await response.text()).toContain('\nb24_tries_total 2\n');
  });

  it('is 503, and the reason stands in the log alone, where they cannot be gathered', async () => {
    ops.metricsFrom(() => Promise.reject(new Error('no reason to tell')));
    const response = await fetch(`${await start()}/metrics`);
    expect([response.status, await response.text()]).toEqual([503, '']);
    expect(lines.join()).toContain('no reason to tell');
  });
});

describe('the ops server', () => {
  it('says that the process lives, whatever else is wrong', async () => {
    ops.readyWhen(() => ({ ...WELL, problems: ['everything'] }));
    const response = await fetch(`${await start()}/healthz`);
    expect([response.status, await response.json()]).toEqual([200, { status: 'ok' }]);
  });

  it('has nothing else, and takes nothing', async () => {
    const url = await start();
    expect((await fetch(`${url}/events`)).status).toBe(404);
    expect((await fetch(`${url}/constructor`)).status).toBe(404);
    const posted = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' });
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET']);
  });

  it('cuts off whoever sends a request too slowly', async () => {
    const slow = await RawSender.connect(await start());
    slow.write('GET /healthz HTTP/1.1\r\nhost: ');
    const drip = setInterval(() => slow.write('x'), 500);
    await expect(slow.ended()).resolves.toBeUndefined();
    clearInterval(drip);
    slow.destroy();
  });
});

describe('the ops server, of whose connections others hold as many as they can', () => {
  const HOLDERS = 80;
  const ANSWER_MS = 2000;
  let isOver: boolean;
  let connects: number;

  /** Sends headers without end, and comes back at once where it is cut off. */
  function hold(port: number): void {
    if (isOver) return;
    const socket = connect({ host: '127.0.0.1', port });
    const drip = setInterval(() => (isOver ? socket.destroy() : socket.write('x')), 50);
    socket.on('connect', () => {
      connects += 1;
      socket.write('GET /readyz HTTP/1.1\r\nhost: ');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearInterval(drip);
      hold(port);
    });
  }

  beforeEach(() => {
    isOver = false;
    connects = 0;
  });

  afterEach(() => void (isOver = true));

  it('answers all the while', async () => {
    ops.readyWhen(() => WELL);
    const url = await start();
    for (let i = 0; i < HOLDERS; i += 1) hold(Number(new URL(url).port));
    await waitUntil('all have come', () => connects >= HOLDERS);
    const untilMs = performance.now() + 3000;
    for (let answers = 0; answers < 20 || performance.now() < untilMs; answers += 1) {
      const response = await fetch(`${url}/readyz`, {
        headers: { connection: 'close' },
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      expect(response.status).toBe(200);
    }
  });
});

describe('a port that another program has', () => {
  let other: Server;
  let port: number;

  beforeEach(async () => {
    port = await findFreePort();
    other = createServer();
    await new Promise<void>((done) => {
      other.listen(port, '127.0.0.1', done);
    });
  });

  afterEach(() => void other.close());

  it('is a reason not to start where somebody chose it, named by its variable', async () => {
    await expect(start({ number: port })).rejects.toThrow(`API_OPS_PORT: port ${port} is taken by another program`);
  });

  it('gives way to a free one where nobody chose it, and says so', async () => {
    const url = await start({ number: port, isChosen: false });
    expect(new URL(url).port).not.toBe(String(port));
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
    expect(lines.join()).toContain('ops.port_taken');
  });
});
