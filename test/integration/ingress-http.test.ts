import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { APPLICATION_TOKEN, FIXTURE_NAMES, formBody } from '../support/deliveries.js';
import { EVENT, FORM, HEAD, post, useIngress } from '../support/ingress-bench.js';
import { RawSender } from '../support/raw-http.js';
import { waitUntil } from '../support/wait-until.js';

const ingress = useIngress();

describe('POST of an event', () => {
  it.each(FIXTURE_NAMES)('accepts %s as a form', async (name) => {
    const url = await ingress.start();
    expect(await post(url, formBody(name))).toMatchObject({ status: 200, body: { status: 'accepted' } });
    expect(await ingress.bench.journalled()).toHaveLength(1);
  });

  it.each(FIXTURE_NAMES)('accepts %s as JSON, as the same event', async (name) => {
    const url = await ingress.start();
    await post(url, formBody(name));
    const json = await readFile(`test/fixtures/${name}.json`);
    const answered = await post(url, json, { 'content-type': 'application/json; charset=utf-8' });
    expect(answered).toMatchObject({ status: 200, body: { status: 'accepted' } });
    const [form, again] = await ingress.bench.journalled();
    expect(again?.eventId).toBe(form?.eventId);
    expect(again?.id).not.toBe(form?.id);
  });

  it('tells the id under which the record stands in the journal', async () => {
    const url = await ingress.start();
    const { body } = await post(url, EVENT);
    expect(body).toEqual({ status: 'accepted', id: (await ingress.bench.journalled())[0]?.id });
  });

  it('quarantines a known event whose data does not fit, and says where', async () => {
    const url = await ingress.start();
    const { status, body } = await post(url, formBody('ONIMCONNECTORSTATUSDELETE', { 'data[line]': 'no number' }));
    expect(status).toBe(200);
    expect(body).toMatchObject({ status: 'quarantined', issues: [{ path: expect.any(String) }] });
    expect((await ingress.bench.journalled())[0]?.body.state).toBe('quarantined');
  });

  it('keeps no secret in the open, on disk or in the log', async () => {
    const url = await ingress.start();
    await post(url, formBody('ONAPPINSTALL'));
    const kept = JSON.stringify(await ingress.bench.journalled()) + ingress.bench.lines.join('');
    const secrets = [...new URLSearchParams(formBody('ONAPPINSTALL'))].filter(([key]) => /token/.test(key));
    expect(secrets.length).toBeGreaterThan(2);
    expect(secrets.filter(([, value]) => kept.includes(value))).toEqual([]);
  });

  it('writes one line per delivery', async () => {
    const url = await ingress.start();
    await post(url, EVENT);
    const told = ingress.bench.lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const [delivery] = await ingress.bench.journalled();
    const { id: deliveryId, eventId, name: eventName } = delivery ?? {};
    expect(told.filter((line) => line.event === 'delivery.accepted')).toMatchObject([
      { deliveryId, eventId, eventName, memberId: delivery?.auth.memberId, durationMs: expect.any(Number) },
    ]);
  });

  it('accepts a body in chunks, without a length', async () => {
    const sender = await RawSender.connect(await ingress.start());
    sender.write(`${HEAD}transfer-encoding: chunked\r\n\r\n`);
    for (let at = 0; at < EVENT.length; at += 100) {
      const part = EVENT.slice(at, at + 100);
      sender.write(`${part.length.toString(16)}\r\n${part}\r\n`);
    }
    sender.write('0\r\n\r\n');
    expect(await sender.answer()).toMatchObject({ status: 200, body: { status: 'accepted' } });
    sender.destroy();
  });

  it('accepts it at the path that EVENTS_PATH names, and there alone', async () => {
    const url = await ingress.start({ EVENTS_PATH: '/events/9f3c' });
    expect((await post(url, EVENT)).status).toBe(200);
    expect(await post(new URL('/events', url).href, EVENT)).toMatchObject({
      status: 404,
      body: { error: 'not_found' },
    });
  });

  it('says what is there at /', async () => {
    const response = await fetch(new URL('/', await ingress.start()));
    expect(response.status).toBe(200);
    expect((await response.text()).trim().split('\n')).toHaveLength(1);
  });
});

describe('what cannot be read', () => {
  it.each([
    ['JSON that is none', '{"event":', 'application/json'],
    ['bytes that are no UTF-8', new Uint8Array([0x61, 0x3d, 0xff]), FORM],
    ['nesting beyond the bound', `a${'[b]'.repeat(17)}=1`, FORM],
    ['more parameters than the bound', 'a=1&'.repeat(10_001), FORM],
  ])('answers 400 invalid_body to %s', async (_what, body, contentType) => {
    const answered = await post(await ingress.start(), body, { 'content-type': contentType });
    expect(answered).toMatchObject({
      status: 400,
      body: { error: 'invalid_body', issues: [{ message: expect.any(String) }] },
    });
    expect(await ingress.bench.journalled()).toEqual([]);
  });

  it.each([
    ['event', 'event', ''],
    ['ts', 'ts', 'yesterday'],
    ['auth[member_id]', 'auth.member_id', ''],
    ['auth[application_token]', 'auth.application_token', ''],
  ])('answers 400 invalid_event where %s is wrong', async (key, path, value) => {
    const { status, body } = await post(await ingress.start(), formBody('ONAPPUPDATE', { [key]: value }));
    expect(status).toBe(400);
    expect(body).toMatchObject({ error: 'invalid_event', issues: [{ path }] });
  });

  it('names both fields where auth is missing, and quotes nothing', async () => {
    const { body } = await post(await ingress.start(), `event=X&ts=1&other=${APPLICATION_TOKEN}`);
    expect(body).toMatchObject({ issues: [{ path: 'auth.member_id' }, { path: 'auth.application_token' }] });
    expect(JSON.stringify(body)).not.toContain(APPLICATION_TOKEN);
  });
});

const CHUNK = `4000\r\n${'a'.repeat(0x4000)}\r\n`;

describe('what is not taken', () => {
  it.each(['GET', 'PUT', 'DELETE', 'OPTIONS'])('answers 405 to %s, and names POST', async (method) => {
    const response = await fetch(await ingress.start(), { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
    expect(await response.json()).toEqual({ error: 'method_not_allowed' });
  });

  it.each([
    ['unsupported_content_type', { 'content-type': 'text/plain' }],
    ['unsupported_content_type', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['unsupported_charset', { 'content-type': `${FORM}; charset=windows-1251` }],
    ['unsupported_encoding', { 'content-type': FORM, 'content-encoding': 'gzip' }],
  ])('answers 415 %s', async (error, headers) => {
    const body = error === 'unsupported_encoding' ? gzipSync(EVENT) : EVENT;
    expect(await post(await ingress.start(), body, headers)).toMatchObject({ status: 415, body: { error } });
  });

  it('answers 415 where the content type is missing', async () => {
    const sender = await RawSender.connect(await ingress.start());
    sender.write(`POST /events HTTP/1.1\r\nhost: test\r\ncontent-length: ${EVENT.length}\r\n\r\n${EVENT}`);
    expect(await sender.answer()).toMatchObject({ status: 415, body: { error: 'unsupported_content_type' } });
    sender.destroy();
  });

  it('answers 413 to a length beyond the bound at once, before any of the body is sent', async () => {
    const sender = await RawSender.connect(await ingress.start());
    sender.write(`${HEAD}content-length: 5000000\r\n\r\n`);
    const answered = await sender.answer();
    expect(answered).toMatchObject({ status: 413, body: { error: 'body_too_large' } });
    expect(answered.head).toMatch(/connection: close/i);
    sender.destroy();
  });

  it('answers 413 while a body without a length is still being sent, and ends the connection', async () => {
    const sender = await RawSender.connect(await ingress.start({ BODY_BYTES_MAX: '65536' }));
    sender.write(`${HEAD}transfer-encoding: chunked\r\n\r\n`);
    const timer = setInterval(() => sender.write(CHUNK), 1);
    try {
      expect(await sender.answer()).toMatchObject({ status: 413, body: { error: 'body_too_large' } });
      await sender.ended();
    } finally {
      clearInterval(timer);
    }
    expect(await ingress.bench.journalled()).toEqual([]);
  });

  it('resets no connection on which a body that is too large still comes: the answer would be lost with it', async () => {
    const sender = await RawSender.connect(await ingress.start({ BODY_BYTES_MAX: '65536' }));
    sender.write(`${HEAD}transfer-encoding: chunked\r\n\r\n${CHUNK.repeat(5)}`);
    await sender.answer();
    for (let count = 0; count < 20; count += 1) {
      sender.write(CHUNK);
      await sleep(5);
    }
    expect(sender.isReset).toBe(false);
    sender.destroy();
  });

  it('asks for the body only after the head was looked at', async () => {
    const url = await ingress.start();
    const refused = await RawSender.connect(url);
    refused.write(`${HEAD}expect: 100-continue\r\ncontent-length: 5000000\r\n\r\n`);
    expect((await refused.answer()).status).toBe(413);
    const asked = await RawSender.connect(url);
    asked.write(`${HEAD}expect: 100-continue\r\ncontent-length: ${EVENT.length}\r\n\r\n`);
    expect((await asked.answer()).status).toBe(100);
    asked.write(EVENT);
    expect((await asked.answer()).status).toBe(200);
    refused.destroy();
    asked.destroy();
  });

  it('keeps nothing of a body that was cut short, and lives on', async () => {
    const url = await ingress.start();
    const sender = await RawSender.connect(url);
    sender.write(`${HEAD}content-length: ${EVENT.length}\r\n\r\n${EVENT.slice(0, 50)}`);
    sender.destroy();
    await waitUntil('it was noticed', () => ingress.bench.lines.some((line) => line.includes('request_cut')));
    expect(await ingress.bench.journalled()).toEqual([]);
    expect((await post(url, EVENT)).status).toBe(200);
  });

  it('answers 408 where the body does not come in time', async () => {
    const sender = await RawSender.connect(await ingress.start({}, { requestTimeoutMs: 300 }));
    sender.write(`${HEAD}content-length: ${EVENT.length}\r\n\r\n${EVENT.slice(0, 50)}`);
    expect(await sender.answer()).toMatchObject({ status: 408, body: { error: 'request_timeout' } });
    sender.destroy();
  });

  it('answers 400 to what is no HTTP', async () => {
    const sender = await RawSender.connect(await ingress.start());
    sender.write('HELLO\r\n\r\n');
    expect(await sender.answer()).toMatchObject({ status: 400, body: { error: 'invalid_body' } });
    sender.destroy();
  });

  it('answers 431 to a head beyond all bounds', async () => {
    const sender = await RawSender.connect(await ingress.start());
    sender.write(`${HEAD}x: ${'a'.repeat(20_000)}\r\n\r\n`);
    expect((await sender.answer()).status).toBe(431);
    sender.destroy();
  });
});
