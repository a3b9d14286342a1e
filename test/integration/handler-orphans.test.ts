import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { HandlerBench } from '../support/handler-bench.js';
import { NodeProcess } from '../support/node-process.js';
import { waitUntil } from '../support/wait-until.js';

let bench: HandlerBench;

beforeEach(async () => {
  bench = await HandlerBench.open();
});

afterEach(() => bench.close());

/** A process of its own with the pool of this product, which begins a run of that handler. */
function startPool(handler: string): NodeProcess {
  const order = { handler, event: '{}', portal: { memberId: 'm' }, eventId: 'e', deliveryId: 'd', receivedAtMs: 0 };
  return NodeProcess.ofCode(`
    const { HandlerPool } = await import(${JSON.stringify(resolve('dist/worker/handlers/handler-pool.js'))});
    const { createLogger } = await import(${JSON.stringify(resolve('dist/shared/logger.js'))});
    const pool = new HandlerPool({
      hostFile: ${JSON.stringify(resolve('dist/worker/handlers/handler-host.js'))}, dir: ${JSON.stringify(bench.dir)},
      env: process.env, logger: createLogger('info', 'pool'), loadTimeoutMs: 30000, silenceMsMax: 60000,
      graceMs: 2000, setAsideMs: 600000, now: Date.now, random: Math.random,
    });
    await pool.start();
    const task = { order: ${JSON.stringify(order)}, serve: async () => ({ ok: true }), log: () => undefined };
    void pool.run({ task, signal: new AbortController().signal });
    setInterval(() => undefined, 1000);
  `);
}

describe('a handler host', () => {
  it.each([
    ['waits', `console.log('begun'); await new Promise(() => undefined);`],
    ['keeps its event loop', `console.log('begun'); await sleep(50); for (;;) {}`],
  ])('whose handler %s is gone soon after a worker that was killed', async (_what, code) => {
    await bench.writeHandler('long', code);
    const pool = startPool('long');
    await pool.line(/begun/);
    expect(await bench.hosts()).toHaveLength(1);
    await pool.kill('SIGKILL');
    await waitUntil('no host is left', async () => (await bench.hosts()).length === 0, { timeoutMs: 5000 });
  });

  it('does not end by the signals that end a group of processes', async () => {
    await bench.writeHandler('quick', '');
    await bench.start();
    const [host] = await bench.hosts();
    if (host === undefined) throw new Error('there is no host');
    process.kill(host, 'SIGINT');
    process.kill(host, 'SIGTERM');
    await bench.run('quick');
    expect(await bench.hosts()).toEqual([host]);
  });

  it('ends in its own way when the handlers are stopped, if that is quick', async () => {
    await bench.writeHandler('tidy', `process.on('exit', () => note('tidied up'));`);
    await bench.start();
    await bench.run('tidy');
    await bench.handlers?.stop();
    expect(await readFile(bench.notesFile, 'utf8')).toBe('tidied up\n');
  });

  it('is gone when the handlers are stopped, whatever runs in it', async () => {
    await bench.writeHandler(
      'deaf',
      `process.on('exit', () => { for (;;) {} }); console.log('begun'); await sleep(60_000);`,
    );
    await bench.start({ silenceMsMax: 600_000 });
    const run = bench.failureOf('deaf');
    await waitUntil('it has begun', () => bench.logged('handler.output').length === 1);
    await bench.handlers?.stop();
    expect(await bench.hosts()).toEqual([]);
    expect(await run).toMatchObject({ code: 'HANDLER_INTERRUPTED' });
    expect(await bench.failureOf('deaf')).toMatchObject({ code: 'HANDLER_UNAVAILABLE' });
  });
});
