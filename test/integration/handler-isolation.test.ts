import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { MEMBER_ID } from '../support/deliveries.js';
import { HandlerBench } from '../support/handler-bench.js';
import { waitUntil } from '../support/wait-until.js';

let bench: HandlerBench;

beforeEach(async () => {
  bench = await HandlerBench.open();
});

afterEach(() => bench.close());

async function notes(): Promise<readonly string[]> {
  const text = await readFile(bench.notesFile, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

async function isAlive(pid: number): Promise<boolean> {
  // A zombie has no command line.
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== '';
}

describe('a host that no longer hears', () => {
  it.each([
    [
      'keeps the loop, and logs',
      `for (;;) { const end = Date.now() + 200; while (Date.now() < end); ctx.log.info('busy'); }`,
    ],
    ['removed the listeners', `process.removeAllListeners('message'); await new Promise(() => undefined);`],
  ])('because a handler %s is ended', async (_what, code) => {
    await bench.writeHandler('deaf', code);
    await bench.start({ silenceMsMax: 1500 });
    const [host] = await bench.hosts();
    expect(await bench.failureOf('deaf', { timeoutMs: 20_000 })).toMatchObject({
      code: 'HANDLER_CRASHED',
      message: expect.stringContaining('kept its process from answering'),
    });
    expect(await bench.hosts()).not.toContain(host);
  });

  it('of an abort, though it answers, is ended too', async () => {
    await bench.writeHandler(
      'halfdeaf',
      `const { emit } = process;
       process.emit = (name, ...args) => (args[0]?.type === 'abort' ? true : emit(name, ...args));
       await new Promise(() => undefined);`,
    );
    await bench.start({ silenceMsMax: 1000 });
    expect(await bench.failureOf('halfdeaf', { timeoutMs: 300 })).toMatchObject({ code: 'HANDLER_CRASHED' });
  });
});

describe('a handler', () => {
  it('does not find the channel to the worker, and hears nothing of other runs', async () => {
    bench.install();
    await bench.writeHandler('other', `await ctx.b24.call('profile');`);
    await bench.writeHandler(
      'curious',
      `const heard = [];
       process.on('message', (message) => heard.push(message));
       await ctx.b24.call('profile');
       await sleep(300);
       ctx.log.info('found', { send: [typeof process.send, typeof process._send], heard: heard.length });`,
    );
    await bench.start();
    await Promise.all([bench.run('curious'), bench.run('other')]);
    await waitUntil('it is logged', () => bench.logged('handler.log').length === 1);
    expect(bench.logged('handler.log')[0]).toMatchObject({ fields: { send: ['undefined', 'undefined'], heard: 0 } });
    expect(bench.calls).toHaveLength(2);
  });

  it('leaves no process that it has started, neither when its own ends nor at a clean stop', async () => {
    const start = `const { spawn } = await import('node:child_process');
      note(String(spawn('sleep', ['600'], { stdio: 'ignore' }).pid));`;
    await bench.writeHandler('spawner', start);
    await bench.writeHandler('crasher', `${start} process.exit(3);`);
    await bench.start();
    await bench.failureOf('crasher');
    await bench.run('spawner');
    await bench.handlers?.stop();
    const pids = (await notes()).map(Number);
    expect(pids).toHaveLength(2);
    await waitUntil('both are gone', async () => !(await Promise.all(pids.map(isAlive))).includes(true));
  });

  it('is not set aside because of one event: that one is given up', async () => {
    await bench.writeHandler('picky', `if (ctx.eventId === 'poison') process.exit(1); note('good');`);
    await bench.start();
    const codes = [];
    for (let i = 0; i < 3; i += 1) codes.push((await bench.failureOf('picky', { eventId: 'poison' })).code);
    expect(codes).toEqual(['HANDLER_CRASHED', 'HANDLER_CRASHED', 'EFFECT_CRASHED']);
    await bench.run('picky', { eventId: 'good' });
  });

  it('floods no log: beyond a hundred lines a second they are counted', async () => {
    await bench.writeHandler(
      'flood',
      `for (let i = 0; i < 400; i += 1) { console.log('line ' + i); ctx.log.info('line ' + i); }`,
    );
    await bench.start();
    await bench.run('flood');
    const leftOut = (): number =>
      bench.logged('handler.lines_left_out').reduce((sum, line) => sum + Number(line['lines']), 0);
    const told = (): number => bench.logged('handler.output').length + bench.logged('handler.log').length;
    await waitUntil('all lines are told or counted', () => leftOut() + told() === 800);
    expect(leftOut()).toBeGreaterThan(500);
  });

  it.each([
    ['a call', `void ctx.b24.call('a').catch(() => undefined);`],
    ['a step', `void ctx.once('s', () => sleep(60_000, undefined, { ref: false })); await sleep(200);`],
  ])('that does not wait for %s fails, and its process goes on', async (_what, code) => {
    bench.install();
    bench.answer = () => sleep(200).then(() => Promise.reject(new Error('too late')));
    await bench.writeHandler('hasty', code);
    await bench.start();
    const hosts = await bench.hosts();
    const failure = await bench.failureOf('hasty');
    expect(failure).toMatchObject({ code: 'HANDLER_FAILED', message: expect.stringContaining('await all calls') });
    expect(await bench.hosts()).toEqual(hosts);
  });

  it.each([
    ['throw Object.create(null);', 'HANDLER_FAILED'],
    ['throw { get message() { throw new Error("no"); } };', 'HANDLER_FAILED'],
    ['ctx.log.info(Object.create(null));', 'none'],
    ['await ctx.connectors.isOn("x", NaN);', 'HANDLER_FAILED'],
  ])('may do %s without harm to its process', async (code, expected) => {
    await bench.writeHandler('odd', code);
    await bench.start();
    expect(await bench.failureOf('odd', { timeoutMs: 5000 })).toMatchObject({ code: expected });
  });
});

describe('a portal that is suspended', () => {
  it('has no handler run for it, until somebody may look whether it has healed', async () => {
    bench.install();
    await bench.writeHandler('any', `note('ran');`);
    const nowMs = Date.now();
    await bench.start({ now: () => nowMs });
    suspendUntil(nowMs + 60_000);
    expect(await bench.failureOf('any')).toMatchObject({ code: 'PORTAL_SUSPENDED', retryAfterMs: 60_000 });
    expect(await notes()).toEqual([]);
    suspendUntil(nowMs);
    await bench.run('any');
  });

  function suspendUntil(probeAtMs: number): void {
    const portal = bench.portals.get(MEMBER_ID);
    if (!portal) throw new Error('there is no portal');
    bench.portals.set(MEMBER_ID, { ...portal, suspension: { reason: 'payment', sinceMs: 0, probeAtMs } });
  }
});
