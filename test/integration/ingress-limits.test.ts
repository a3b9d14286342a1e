import { describe, expect, it } from '@jest/globals';
import { StorageError } from '../../src/api/journal.js';
import { formBody } from '../support/deliveries.js';
import { EVENT, FORM, HEAD, post, useIngress } from '../support/ingress-bench.js';
import { RawSender } from '../support/raw-http.js';
import { waitUntil } from '../support/wait-until.js';

const ingress = useIngress();

describe('what cannot be kept', () => {
  it('answers 503 with Retry-After where the journal takes nothing', async () => {
    const full = { append: () => Promise.reject(new StorageError('the disk is full')) };
    const answered = await post(await ingress.start({}, { journals: full }), EVENT);
    expect(answered).toMatchObject({ status: 503, body: { error: 'storage_unavailable' } });
    expect(Number(answered.headers.get('retry-after'))).toBeGreaterThan(0);
  });

  it('answers 503 where less of the disk is free than DISK_FREE_BYTES_MIN, from the first event on', async () => {
    const url = await ingress.start({ DISK_FREE_BYTES_MIN: String(Number.MAX_SAFE_INTEGER) });
    expect(await post(url, EVENT)).toMatchObject({ status: 503, body: { error: 'storage_unavailable' } });
  });

  it('answers 503 soon after the journals took more than JOURNAL_BYTES_MAX', async () => {
    const url = await ingress.start({ JOURNAL_BYTES_MAX: '1048576' });
    const large = formBody('ONCRMDEALUPDATE', { 'data[text]': 'x'.repeat(500_000) });
    await waitUntil('an event is turned away', async () => (await post(url, large)).status === 503);
  });

  it('gives up the body that is under way for the longest where too much is in flight, and takes true events', async () => {
    const url = await ingress.start({}, { inFlightBytesMax: EVENT.length * 2 });
    const slow = await RawSender.connect(url);
    slow.write(`${HEAD}content-length: 100000\r\n\r\n${EVENT}${EVENT.slice(1)}`);
    expect((await post(url, EVENT)).status).toBe(200);
    expect((await slow.answer()).status).toBe(503);
  });

  it('answers 503 where all that is in flight is whole, and takes events again when that is over', async () => {
    let letGo: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    const url = await ingress.start({}, { inFlightBytesMax: EVENT.length, journals: { append: () => held } });
    const first = post(url, EVENT);
    await waitUntil('the bound is reached', async () => (await post(url, EVENT)).status === 503);
    letGo();
    expect((await first).status).toBe(200);
    await waitUntil('it takes events again', async () => (await post(url, EVENT)).status === 200);
  });

  it('says so once a second at most, with their number', async () => {
    const full = { append: () => Promise.reject(new StorageError('the disk is full')) };
    const url = await ingress.start({}, { journals: full });
    await Promise.all(Array.from({ length: 50 }, () => post(url, EVENT)));
    const counts = (): number[] =>
      ingress.bench.lines
        .map((line) => JSON.parse(line) as { code?: string; count?: number })
        .filter((line) => line.code === 'storage_unavailable')
        .map((line) => line.count ?? 0);
    await waitUntil('all are counted', () => counts().reduce((sum, count) => sum + count, 0) === 50);
    expect(counts().length).toBeLessThan(5);
  });
});

describe('who may post', () => {
  it.each([
    ['127.0.0.1', 200],
    ['127.0.0.0/8', 200],
    ['10.0.0.1', 403],
  ])('with SENDER_IPS=%s answers a sender at 127.0.0.1 with %i', async (senders, status) => {
    expect((await post(await ingress.start({ SENDER_IPS: senders }), EVENT)).status).toBe(status);
  });

  it('sees an IPv4 address that comes as IPv6', async () => {
    const url = await ingress.start({ SENDER_IPS: '127.0.0.1', API_HOST: '::' });
    expect((await post(url.replace('[::1]', '127.0.0.1'), EVENT)).status).toBe(200);
  });

  it('does not believe X-Forwarded-For where no proxy stands in front', async () => {
    const url = await ingress.start({ SENDER_IPS: '10.0.0.1' });
    const headers = { 'content-type': FORM, 'x-forwarded-for': '10.0.0.1' };
    expect(await post(url, EVENT, headers)).toMatchObject({ status: 403, body: { error: 'sender_not_allowed' } });
  });

  it.each([
    ['10.0.0.1', 200],
    ['8.8.8.8, 10.0.0.1', 200],
    ['10.0.0.1, 8.8.8.8', 403],
    ['nonsense', 403],
  ])('behind one proxy believes the last entry of X-Forwarded-For: %s', async (forwardedFor, status) => {
    const url = await ingress.start({ SENDER_IPS: '10.0.0.1', TRUST_PROXY: '1' });
    const headers = { 'content-type': FORM, 'x-forwarded-for': forwardedFor };
    expect((await post(url, EVENT, headers)).status).toBe(status);
  });

  it('looks at the sender before the method and the body', async () => {
    const url = await ingress.start({ SENDER_IPS: '10.0.0.1' });
    expect((await fetch(url)).status).toBe(403);
    expect((await post(url, 'x', { 'content-type': 'text/plain' })).status).toBe(403);
  });
});

describe('a stop', () => {
  it('answers the request that is under way with Connection: close, and ends idle connections', async () => {
    const url = await ingress.start();
    const idle = await RawSender.connect(url);
    idle.write(`${HEAD}content-length: ${EVENT.length}\r\n\r\n${EVENT}`);
    await idle.answer();
    const busy = await RawSender.connect(url);
    busy.write(`${HEAD}expect: 100-continue\r\ncontent-length: ${EVENT.length}\r\n\r\n`);
    await busy.answer();

    const stopped = ingress.bench.stop();
    await idle.ended();
    busy.write(EVENT);

    const answered = await busy.answer();
    expect(answered.status).toBe(200);
    expect(answered.head).toMatch(/connection: close/i);
    await stopped;
    expect(await ingress.bench.journalled()).toHaveLength(2);
  });

  it('still answers what was on its way on an idle connection when it began', async () => {
    const url = await ingress.start({}, { idleMs: 2000 });
    const idle = await RawSender.connect(url);
    idle.write(`${HEAD}content-length: ${EVENT.length}\r\n\r\n${EVENT}`);
    await idle.answer();

    const stopped = ingress.bench.stop();
    idle.write(`${HEAD}content-length: ${EVENT.length}\r\n\r\n${EVENT}`);

    expect((await idle.answer()).head).toMatch(/^HTTP\/1.1 200[^]*connection: close/i);
    await stopped;
    expect(await ingress.bench.journalled()).toHaveLength(2);
  });
});
