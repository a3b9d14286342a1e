import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { HandlerBench } from '../support/handler-bench.js';
import { waitUntil } from '../support/wait-until.js';

const BYSTANDER = `ctx.log.info('begun'); await new Promise((resolve) => setTimeout(resolve, 400)); note('bystander ' + ctx.eventId);`;

let bench: HandlerBench;

beforeEach(async () => {
  bench = await HandlerBench.open();
});

afterEach(() => bench.close());

async function notes(): Promise<readonly string[]> {
  const text = await readFile(bench.notesFile, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

function begun(count: number): Promise<void> {
  return waitUntil(`${count} have begun`, () => bench.logged('handler.log').length >= count);
}

describe('a handler that hangs', () => {
  it('ends with its process, and its next attempt is not beside it', async () => {
    await bench.writeHandler(
      'hanging',
      `note('begin'); setInterval(() => note('alive'), 20); await new Promise(() => undefined);`,
    );
    await bench.start();
    const [host] = await bench.hosts();
    expect(await bench.failureOf('hanging', { timeoutMs: 300 })).toMatchObject({ code: 'HANDLER_CRASHED' });
    expect(await bench.hosts()).not.toContain(host);
    const after = (await notes()).length;
    expect(after).toBeGreaterThan(3);
    await bench.failureOf('hanging', { timeoutMs: 1500 });
    const all = await notes();
    expect(all.slice(after)[0]).toBe('begin');
  });

  it('lets the other runs of its process end, while new ones begin in another', async () => {
    await bench.writeHandler('hanging', `await new Promise(() => undefined);`);
    await bench.writeHandler('slow', `ctx.log.info('begun'); await sleep(1500); note('slow in ' + process.pid);`);
    await bench.writeHandler('quick', `note('quick in ' + process.pid);`);
    await bench.start();
    const [host] = await bench.hosts();
    const slow = bench.run('slow');
    await begun(1);
    let hasEnded = false;
    const hanging = bench.failureOf('hanging', { timeoutMs: 100 }).finally(() => (hasEnded = true));
    await waitUntil('another host takes new runs', async () => {
      await bench.run('quick');
      return (await notes()).some((line) => line !== `quick in ${host}`);
    });
    expect(hasEnded).toBe(false);
    await slow;
    expect(await notes()).toContain(`slow in ${host}`);
    expect(await hanging).toMatchObject({ code: 'HANDLER_CRASHED' });
    expect(await bench.hosts()).not.toContain(host);
  });

  it('keeps at most four processes for the runs that were beside it: the oldest then goes at once', async () => {
    await bench.writeHandler('hanging', `await new Promise(() => undefined);`);
    await bench.writeHandler('slow', `ctx.log.info('begun'); await sleep(60_000, undefined, { signal: ctx.signal });`);
    await bench.writeHandler('where', `note('where ' + process.pid);`);
    await bench.start();
    const end = new AbortController();
    const slow = [];
    const hung = [];
    for (let n = 1; n <= 5; n += 1) {
      slow.push(bench.failureOf('slow', { signal: end.signal }));
      await begun(n);
      const [host] = (await bench.hosts()).toSorted((a, b) => b - a);
      hung.push(bench.failureOf('hanging', { timeoutMs: 100 }));
      await waitUntil('the host takes no more runs', async () => {
        await bench.run('where');
        return (await notes()).at(-1) !== `where ${host}`;
      });
    }
    expect(await slow[0]).toMatchObject({ code: 'HANDLER_INTERRUPTED' });
    expect(await hung[0]).toMatchObject({ code: 'HANDLER_CRASHED' });
    expect(await bench.hosts()).toHaveLength(5);
    end.abort();
    await Promise.all([...slow, ...hung]);
  });

  it('is no crash where the worker stops', async () => {
    await bench.writeHandler('hanging', `ctx.log.info('begun'); await new Promise(() => undefined);`);
    await bench.start();
    const stopping = new AbortController();
    const run = bench.failureOf('hanging', { signal: stopping.signal });
    await begun(1);
    stopping.abort(new Error('the process ends'));
    expect(await run).toMatchObject({ message: 'the process ends' });
    expect(bench.logged('handler.crashed')).toHaveLength(0);
  });
});

describe('a handler that ends its process', () => {
  it.each([
    ['process.exit(7);', /ended with code 7/],
    ['process.kill(process.pid, "SIGKILL"); await new Promise(() => undefined);', /ended by SIGKILL/],
    ['Promise.reject(new Error("forgotten"));', /ended with code 1/],
    ['setTimeout(() => { throw new Error("late"); }, 10); await sleep(500);', /ended with code 1/],
  ])('by %s fails as crashed', async (code, message) => {
    await bench.writeHandler('ending', code);
    await bench.writeHandler('good', '');
    await bench.start();
    const failure = await bench.failureOf('ending');
    expect(failure.code).toBe('HANDLER_CRASHED');
    expect(failure.message).toMatch(message);
    await bench.run('good');
  });

  it('by eating its event loop fails as crashed', async () => {
    await bench.writeHandler('eating', `for (;;) {}`);
    await bench.start({ silenceMsMax: 1000 });
    expect(await bench.failureOf('eating')).toMatchObject({
      code: 'HANDLER_CRASHED',
      message: expect.stringContaining('kept its process from answering'),
    });
    expect(await bench.hosts()).toEqual([]);
  });

  it('interrupts the others, and each runs alone the next time: the culprit is found, they end well', async () => {
    await bench.writeHandler('ending', `ctx.log.info('begun'); await sleep(200); process.exit(1);`);
    await bench.writeHandler('bystander', BYSTANDER);
    await bench.start();
    const ids = ['b1', 'b2', 'b3'];
    const runs = ids.map((eventId) => bench.failureOf('bystander', { eventId }));
    const ending = bench.failureOf('ending', { eventId: 'e1' });
    for (const failure of await Promise.all([...runs, ending]))
      expect(failure).toMatchObject({ code: 'HANDLER_INTERRUPTED', retryAfterMs: 1000 });
    expect(bench.logged('handler.interrupted')).toHaveLength(4);

    const again = ids.map((eventId) => bench.run('bystander', { eventId }));
    expect(await bench.failureOf('ending', { eventId: 'e1' })).toMatchObject({ code: 'HANDLER_CRASHED' });
    await Promise.all(again);
    expect((await notes()).toSorted()).toEqual(ids.map((id) => `bystander ${id}`));
  });

  it('does not put the blame on those that could not hear their deadline while it kept the loop', async () => {
    await bench.writeHandler('eating', `ctx.log.info('begun'); await sleep(100); for (;;) {}`);
    await bench.writeHandler(
      'bystander',
      `ctx.log.info('begun'); await sleep(60_000, undefined, { signal: ctx.signal });`,
    );
    await bench.start({ silenceMsMax: 2500 });
    const bystander = bench.failureOf('bystander', { timeoutMs: 500 });
    const eating = bench.failureOf('eating');
    await Promise.all([bystander, eating]);
    expect(bench.logged('handler.crashed')).toHaveLength(0);
  });

  it('again and again is set aside, until a test run ends well', async () => {
    await bench.writeHandler(
      'ending',
      `const { existsSync } = await import('node:fs'); if (!existsSync(${JSON.stringify(`${bench.dir}/mended`)})) process.exit(1);`,
    );
    await bench.writeHandler('good', '');
    let nowMs = Date.now();
    await bench.start({ now: () => nowMs, setAsideMs: 600_000 });
    for (let i = 0; i < 3; i += 1) expect(await bench.failureOf('ending')).toMatchObject({ code: 'HANDLER_CRASHED' });
    const aside = { code: 'HANDLER_SET_ASIDE', retryAfterMs: 60_000, message: expect.stringContaining('code 1') };
    for (let i = 0; i < 2; i += 1) expect(await bench.failureOf('ending')).toMatchObject(aside);
    await bench.run('good');
    expect(bench.logged('handler.set_aside')).toMatchObject([{ level: 'error', handler: 'ending' }]);

    nowMs += 600_001;
    expect(await bench.failureOf('ending')).toMatchObject({ code: 'HANDLER_CRASHED' });
    expect(await bench.failureOf('ending')).toMatchObject(aside);
    await bench.writeModule('mended', '');
    nowMs += 600_001;
    await bench.run('ending');
    await bench.run('ending');
    expect(bench.logged('handler.back')).toHaveLength(1);
  });
});
