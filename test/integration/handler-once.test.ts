import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { JobError, type JobErrorCode } from '../../src/shared/errors.js';
import { HandlerBench } from '../support/handler-bench.js';

const SEND = `ctx.once('send', () => ctx.b24.call('imconnector.send.messages', { text: 'hi' }), { atMostOnce: 'one-call' })`;

let bench: HandlerBench;

beforeEach(async () => {
  bench = await HandlerBench.open();
});

afterEach(() => bench.close());

async function notes(): Promise<readonly string[]> {
  const text = await readFile(bench.notesFile, 'utf8').catch(() => '');
  return text.split('\n').filter(Boolean);
}

function failWith(code: JobErrorCode): void {
  bench.answer = () => {
    throw new JobError(code);
  };
}

function refuseOne(): void {
  bench.answer = (method) => {
    if (method === 'slow') return new Promise(() => undefined);
    if (method === 'refused') throw new JobError('REST_BUDGET');
    return true;
  };
}

describe('once', () => {
  it('runs a step once for an event, and gives its result in later runs', async () => {
    await bench.writeHandler(
      'steps',
      `const r = await ctx.once('deliver', async () => { note('deliver'); return { id: 7, left: undefined }; });
       note(JSON.stringify(r) + Object.keys(r).length);
       note(String(await ctx.once('nothing', () => { note('nothing'); })));
       throw later('again');`,
    );
    await bench.start();
    for (let i = 0; i < 2; i += 1) await expect(bench.run('steps', { eventId: 'e1' })).rejects.toThrow('HANDLER_LATER');
    const rest = ['{"id":7}1', 'undefined'];
    expect(await notes()).toEqual(['deliver', rest[0], 'nothing', rest[1], ...rest]);
    await bench.failureOf('steps', { eventId: 'e2' });
    expect((await notes()).filter((line) => line === 'deliver')).toHaveLength(2);
  });

  it('goes on after a crash where the last noted step ended', async () => {
    await bench.writeHandler(
      'crashing',
      `await ctx.once('one', () => note('one'));
       await ctx.once('two', () => { note('two'); if (ctx.eventId === 'dies') { process.exit(1); } });`,
    );
    await bench.start();
    for (let i = 0; i < 2; i += 1)
      expect(await bench.failureOf('crashing', { eventId: 'dies' })).toMatchObject({ code: 'HANDLER_CRASHED' });
    expect(await notes()).toEqual(['one', 'two', 'two']);
  });

  it('keeps nothing of a result in the open', async () => {
    await bench.writeHandler('sealing', `await ctx.once('s', () => 'the words of a customer');`);
    await bench.start();
    await bench.run('sealing', { eventId: 'e1' });
    const stored = await bench.shared.redis.hgetall(bench.shared.keys.once('e1', 'handler-sealing'));
    expect(stored['s']).toMatch(/^ended s1\./);
    expect(await bench.shared.redis.ttl(bench.shared.keys.once('e1', 'handler-sealing'))).toBeGreaterThan(0);
  });

  it('refuses a result larger than 16 KiB', async () => {
    await bench.writeHandler('large', `await ctx.once('s', () => 'x'.repeat(16_384));`);
    await bench.writeHandler('fits', `await ctx.once('s', () => 'x'.repeat(16_380));`);
    await bench.start();
    expect(await bench.failureOf('large')).toMatchObject({ code: 'ONCE_TOO_LARGE' });
    await bench.run('fits');
  });

  it('makes one of two calls for the same step side by side', async () => {
    await bench.writeHandler(
      'twice',
      `const step = () => ctx.once('s', async () => { note('s'); await sleep(50); return 1; });
       await Promise.all([step(), step()]);`,
    );
    await bench.start();
    await bench.run('twice');
    expect(await notes()).toEqual(['s']);
  });
});

describe('once, at most once', () => {
  it('says that nobody knows, after a crash in the middle, and never calls again by itself', async () => {
    await bench.writeHandler('sender', `await ${SEND}`);
    bench.answer = () => new Promise(() => undefined);
    await bench.writeHandler('killer', `await sleep(300); process.exit(1);`);
    await bench.start();
    const sending = bench.failureOf('sender', { eventId: 'e1' });
    await bench.failureOf('killer');
    expect(await sending).toMatchObject({ code: 'HANDLER_INTERRUPTED' });
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'ONCE_UNKNOWN' });
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'ONCE_UNKNOWN' });
    expect(bench.calls).toHaveLength(1);
  });

  it('calls again when a person had a look and retries', async () => {
    await bench.writeHandler('sender', `await ${SEND}`);
    failWith('REST_UNREACHABLE');
    await bench.start();
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'REST_UNREACHABLE' });
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'ONCE_UNKNOWN' });
    await bench.handlers?.effects[0]?.afterGivenUp?.('e1');
    bench.answer = () => 'sent';
    await bench.run('sender', { eventId: 'e1' });
    expect(bench.calls).toHaveLength(2);
  });

  it.each(['REST_BUDGET', 'REST_REFUSED', 'REST_HOST_REFUSED', 'PORTAL_SUSPENDED', 'PORTAL_NOT_INSTALLED'] as const)(
    'calls again after %s, which says that nothing was done',
    async (code) => {
      await bench.writeHandler('sender', `await ${SEND}`);
      failWith(code);
      await bench.start();
      expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code });
      bench.answer = () => 'sent';
      await bench.run('sender', { eventId: 'e1' });
      await bench.run('sender', { eventId: 'e1' });
      expect(bench.calls).toHaveLength(2);
    },
  );

  it.each(['REST_UNREACHABLE', 'REST_UNAVAILABLE', 'REST_UNEXPECTED'] as const)(
    'does not call again after %s',
    async (code) => {
      await bench.writeHandler('sender', `await ${SEND}`);
      failWith(code);
      await bench.start();
      await bench.failureOf('sender', { eventId: 'e1' });
      expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'ONCE_UNKNOWN' });
      expect(bench.calls).toHaveLength(1);
    },
  );

  it('calls again where it is certain that nothing was sent', async () => {
    await bench.writeHandler('sender', `await ${SEND}`);
    bench.answer = () => {
      throw new JobError('REST_UNREACHABLE', undefined, { isSent: false });
    };
    await bench.start();
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'REST_UNREACHABLE' });
    bench.answer = () => 'sent';
    await bench.run('sender', { eventId: 'e1' });
    expect(bench.calls).toHaveLength(2);
  });

  it.each([
    ['has also acted elsewhere', `note('posted'); await ctx.b24.call('refused');`],
    ['has another call on its way', `await Promise.all([ctx.b24.call('slow'), ctx.b24.call('refused')]);`],
    [
      'holds a step that did',
      `await ctx.once('in', async () => { await ctx.b24.call('a'); await ctx.b24.call('refused'); });`,
    ],
  ])('does not take back a step that %s, whatever a call of it proves', async (_what, step) => {
    await bench.writeHandler('sender', `await ctx.once('s', async () => { ${step} }, { atMostOnce: true });`);
    refuseOne();
    await bench.start();
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'REST_BUDGET' });
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'ONCE_UNKNOWN' });
  });

  it.each([
    ['a second call', `await ctx.b24.call('a'); await ctx.b24.call('refused');`, 1],
    ['a call beside it', `await Promise.all([ctx.b24.call('slow'), ctx.b24.call('refused')]);`, 1],
    ['another step', `await ctx.once('in', () => ctx.b24.call('refused'));`, 0],
    ['a try after its refusal', `await ctx.b24.call('refused').catch(() => ctx.b24.call('refused'));`, 1],
  ])('refuses %s where the step says that it holds one call, and leaves it begun', async (_what, step, count) => {
    await bench.writeHandler('sender', `await ctx.once('s', async () => { ${step} }, { atMostOnce: 'one-call' });`);
    refuseOne();
    await bench.start();
    expect((await bench.failureOf('sender', { eventId: 'e1' })).message).toContain('holds one REST call');
    expect(await bench.failureOf('sender', { eventId: 'e1' })).toMatchObject({ code: 'ONCE_UNKNOWN' });
    expect(bench.calls).toHaveLength(count);
  });

  it('notes the end of a step that ends just after the deadline', async () => {
    await bench.writeHandler(
      'late',
      `await ctx.once('s', () => new Promise((resolve) => ctx.signal.addEventListener('abort', () => resolve(note('s')))), { atMostOnce: true });`,
    );
    await bench.start({ graceMs: 2000 });
    await bench.run('late', { eventId: 'e1', timeoutMs: 500 });
    await bench.run('late', { eventId: 'e1' });
    expect(await notes()).toEqual(['s']);
  });
});
