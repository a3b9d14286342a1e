import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { findFreePort } from '../../src/cli/free-port.js';
import { JobError } from '../../src/shared/errors.js';
import { MEMBER_ID } from '../support/deliveries.js';
import { HandlerBench } from '../support/handler-bench.js';
import { waitUntil } from '../support/wait-until.js';

let bench: HandlerBench;

beforeEach(async () => {
  bench = await HandlerBench.open();
});

afterEach(() => bench.close());

describe('a run of a handler', () => {
  it('is told the event and its portal, never a token', async () => {
    bench.install('shop.bitrix24.com');
    await bench.writeHandler(
      'teller',
      `ctx.log.info('told', { event, portal: ctx.portal, eventId: ctx.eventId, deliveryId: ctx.deliveryId });`,
    );
    await bench.start();
    await bench.run('teller', { eventId: 'e1' });
    await waitUntil('it is logged', () => bench.logged('handler.log').length === 1);
    const [line] = bench.logged('handler.log');
    expect(line).toMatchObject({
      msg: 'told',
      handler: 'teller',
      eventId: 'e1',
      memberId: MEMBER_ID,
      fields: {
        event: { name: 'ONIMCONNECTORMESSAGEADD', payload: { connector: expect.any(String) } },
        portal: { memberId: MEMBER_ID, domain: 'shop.bitrix24.com', host: 'shop.bitrix24.com', isInstalled: true },
      },
    });
    expect(JSON.stringify(line)).not.toContain('-secret');
  });

  it('calls the portal and asks for a connector through the worker', async () => {
    bench.answer = (_method, params) => ({ echo: params });
    await bench.states.note(MEMBER_ID, { connector: 'shop', line: 2, state: 'off', ts: 5 });
    await bench.writeHandler(
      'caller',
      `const isOn = await ctx.connectors.isOn('shop', 2);
       const result = await ctx.b24.call('profile', { isOn, when: new Date(0), none: undefined });
       ctx.log.info('result', { result });`,
    );
    await bench.start();
    await bench.run('caller', { eventId: 'e2' });
    const params = { isOn: false, when: '1970-01-01T00:00:00.000Z' };
    expect(bench.calls).toEqual([{ method: 'profile', params, runKey: 'e2.handler-caller' }]);
    await waitUntil('it is logged', () => bench.logged('handler.log').length === 1);
    expect(bench.logged('handler.log')[0]).toMatchObject({ fields: { result: { echo: params } } });
  });

  it.each([
    [`throw later('full', { afterMs: 5000 });`, { code: 'HANDLER_LATER', retryAfterMs: 5000 }, /full/],
    [`throw later('full');`, { code: 'HANDLER_LATER', retryAfterMs: undefined }, /full/],
    [`throw never('no such chat');`, { code: 'HANDLER_NEVER' }, /no such chat/],
    [`null.x;`, { code: 'HANDLER_FAILED' }, /TypeError: Cannot read/],
    [`throw 'a text';`, { code: 'HANDLER_FAILED' }, /a text/],
    [`throw new Error('x'.repeat(100_000));`, { code: 'HANDLER_FAILED' }, /^.{100,700}$/],
  ])('that ends with %s says so', async (code, failure, message) => {
    await bench.writeHandler('failing', code);
    await bench.start();
    const thrown = await bench.failureOf('failing');
    expect(thrown).toMatchObject(failure);
    expect(thrown.message).toMatch(message);
  });

  it('that could not reach something says what, in the reason and in the log, without the secrets of the event', async () => {
    const port = await findFreePort();
    await bench.writeHandler('reaching', `await fetch('http://127.0.0.1:${port}/?of=top-secret');`);
    await bench.writeHandler('quoting', `throw new Error('not sent', { cause: new Error('to top-secret') });`);
    await bench.start();
    const run = { secrets: { auth: { access_token: 'top-secret' }, data: [] } };
    const refused = `TypeError: fetch failed: connect ECONNREFUSED 127.0.0.1:${port}`;
    expect(await bench.failureOf('reaching', run)).toMatchObject({ detail: refused });
    expect(await bench.failureOf('quoting', run)).toMatchObject({ detail: 'Error: not sent: to [sealed]' });
    await waitUntil('both are logged', () => bench.logged('handler.failed').length === 2);
    const reasons = bench.logged('handler.failed').map(({ reason }) => reason);
    expect(reasons).toEqual([refused, 'Error: not sent: to [sealed]']);
  });

  it('that lets the error of a call through fails with it, also where it wrapped it', async () => {
    bench.answer = () => {
      throw new JobError('PORTAL_SUSPENDED', 'PAYMENT_REQUIRED', { retryAfterMs: 77_000 });
    };
    await bench.writeHandler('plain', `await ctx.b24.call('profile');`);
    await bench.writeHandler(
      'wrapping',
      `try { await ctx.b24.call('profile'); } catch (cause) { throw new Error('profile failed', { cause }); }`,
    );
    await bench.start();
    for (const handler of ['plain', 'wrapping'])
      expect(await bench.failureOf(handler)).toMatchObject({
        code: 'PORTAL_SUSPENDED',
        detail: 'PAYMENT_REQUIRED',
        retryAfterMs: 77_000,
      });
  });

  it('is told when it has to stop, and its calls end then', async () => {
    bench.answer = () => new Promise(() => undefined);
    await bench.writeHandler(
      'heeding',
      `try { await ctx.b24.call('profile'); }
       catch (error) { ctx.log.info('stopped', { aborted: ctx.signal.aborted, reason: ctx.signal.reason.name }); throw error; }`,
    );
    await bench.start();
    const before = await bench.hosts();
    await expect(bench.run('heeding', { timeoutMs: 300 })).rejects.toThrow('aborted due to timeout');
    await waitUntil('it is logged', () => bench.logged('handler.log').length === 1);
    expect(bench.logged('handler.log')[0]).toMatchObject({ fields: { aborted: true, reason: 'TimeoutError' } });
    expect(await bench.hosts()).toEqual(before);
  });

  it('sees the environment of the worker, without what is secret in it', async () => {
    await bench.writeHandler('curious', `ctx.log.info('env', { env: { ...process.env, NODE_CHANNEL_FD: '' } });`);
    const secrets = ['REDIS_URL', 'SECRET_KEY', 'SECRET_KEY_PREVIOUS', 'APPLICATION_TOKENS', 'B24_CLIENT_SECRET'];
    const more = ['FORWARD_SECRET', 'INCOMING_SECRET', 'DASHBOARD_PASSWORD', 'FORWARD_URL'];
    const names = [...secrets, ...more].flatMap((name) => [name, `${name}_FILE`]);
    await bench.start({
      env: { ...Object.fromEntries(names.map((name) => [name, `secret of ${name}`])), PATH: '/bin', SHOP_TOKEN: 'own' },
    });
    await bench.run('curious');
    await waitUntil('it is logged', () => bench.logged('handler.log').length === 1);
    const text = JSON.stringify(bench.logged('handler.log')[0]);
    expect(text).toContain('"SHOP_TOKEN":"own"');
    expect(text).not.toContain('secret of');
  });

  it('has what it prints in the log, line by line and cut', async () => {
    await bench.writeHandler('printing', `console.log('one\\ntwo'); console.error('y'.repeat(50_000));`);
    await bench.start();
    await bench.run('printing');
    await waitUntil('it is logged', () => bench.logged('handler.output').length === 3);
    const messages = bench.logged('handler.output').map(({ msg }) => String(msg));
    expect(messages.filter((message) => message.length < 10)).toEqual(['one', 'two']);
    expect(Math.max(...messages.map(({ length }) => length))).toBe(2000);
  });

  it('makes many calls side by side, without a warning of the process', async () => {
    const warnings: unknown[] = [];
    const onWarning = (warning: unknown): void => void warnings.push(warning);
    process.on('warning', onWarning);
    await bench.writeHandler(
      'busy',
      `const all = Array.from({ length: 30 }, (_, n) => {
         ctx.signal.addEventListener('abort', () => n);
         return ctx.b24.call('profile', { n });
       });
       await Promise.all(all);`,
    );
    await bench.start();
    await bench.run('busy');
    process.off('warning', onWarning);
    expect(bench.calls).toHaveLength(30);
    expect(warnings).toEqual([]);
    expect(bench.logged('handler.output')).toEqual([]);
  });

  it.each([
    [`await ctx.connectors.isOn('shop', '2');`, /connectors\.isOn: expected/],
    [`await ctx.b24.call('profile', 'x=1');`, /b24\.call: expected/],
    [`await ctx.b24.call();`, /b24\.call: expected/],
    [`await ctx.once('', () => 1);`, /once: expected a step/],
  ])('is told at once of a call that is none: %s', async (code, message) => {
    await bench.writeHandler('wrong', code);
    await bench.start();
    expect((await bench.failureOf('wrong')).message).toMatch(message);
  });

  it('takes no part of its process with it when it logs what cannot be told', async () => {
    await bench.writeHandler(
      'clumsy',
      `const circle = {}; circle.self = circle; ctx.log.warn({ not: 'a text' }, circle); ctx.log.info('n', { n: 1n });`,
    );
    await bench.start();
    await bench.run('clumsy');
    expect(await bench.hosts()).toHaveLength(1);
  });
});
