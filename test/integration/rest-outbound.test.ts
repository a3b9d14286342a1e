import { createServer, type Server } from 'node:net';
import type { AddressInfo, LookupFunction } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { createHostRules } from '../../src/shared/bitrix24/rest/host-rules.js';
import { createOutbound, HOST_REFUSED, type OutboundOptions } from '../../src/shared/bitrix24/rest/outbound.js';
import { createRestTransport } from '../../src/shared/bitrix24/rest/rest-transport.js';
import { startRestServer, type RestServer } from '../support/rest-server.js';

let server: RestServer;
/** Takes note of every connection, and answers nothing. */
let trap: Server;
let trapped = 0;

beforeAll(async () => {
  server = await startRestServer();
  trap = createServer((socket) => {
    trapped += 1;
    socket.destroy();
  });
  await new Promise<void>((resolve) => trap.listen(0, '127.0.0.1', resolve));
});
afterAll(async () => {
  await server.close();
  await new Promise((resolve) => trap.close(resolve));
});
beforeEach(() => {
  trapped = 0;
});

const signal = new AbortController().signal;

function lookupTo(...addresses: string[]): LookupFunction {
  return (_hostname, options, callback) => {
    const found = addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
    if (options.all) callback(null, found);
    else callback(null, found[0]?.address ?? '', found[0]?.family);
  };
}

function call(href: string, options: OutboundOptions = {}, entries = [server.entry]) {
  const rules = createHostRules({ portalHosts: entries, oauthHosts: [] });
  return request(href, { dispatcher: createOutbound(rules, options) });
}

function trapPort(): number {
  return (trap.address() as AddressInfo).port;
}

describe('the way out', () => {
  it('gives no connection to a private address in place of a name', async () => {
    for (const host of ['127.0.0.1', '0x7f.1', '2130706433', '[::ffff:127.0.0.1]', '0.0.0.0', 'localhost'])
      await expect(call(`http://${host}:${trapPort()}/rest/`)).rejects.toMatchObject({ code: HOST_REFUSED });
    expect(trapped).toBe(0);
  });

  it('gives no connection to a name that leads to a private address', async () => {
    const leads = [['127.0.0.1'], ['::ffff:127.0.0.1'], ['10.0.0.1', '127.0.0.1'], ['169.254.169.254'], ['fd00::1']];
    for (const addresses of leads) {
      const called = call(`http://acme.bitrix24.com:${trapPort()}/rest/`, { lookup: lookupTo(...addresses) });
      await expect(called).rejects.toMatchObject({ code: HOST_REFUSED });
    }
    expect(trapped).toBe(0);
  });

  it('refuses also where the look-up answers with one address only', async () => {
    const lookup: LookupFunction = (_hostname, _options, callback) => callback(null, '127.0.0.1', 4);
    const called = call(`http://acme.bitrix24.com:${trapPort()}/rest/`, { lookup });
    await expect(called).rejects.toMatchObject({ code: HOST_REFUSED });
    expect(trapped).toBe(0);
  });

  it('does not connect to a private address that stands beside a public one', async () => {
    // Counts as public, and is given to nobody.
    const lookup = lookupTo('127.0.0.1', '2000::1');
    const called = call(`http://acme.bitrix24.com:${trapPort()}/rest/`, { lookup, connectTimeoutMs: 300 });
    await expect(called).rejects.toThrow(Error);
    expect(trapped).toBe(0);
  });

  it('reaches a listed host wherever it stands, on its port alone', async () => {
    const listed = await call(server.endpoint);
    expect(listed.statusCode).toBe(200);
    await listed.body.dump();
    await expect(call(`http://127.0.0.1:${trapPort()}/rest/`)).rejects.toMatchObject({ code: HOST_REFUSED });
    const named = { ...server.entry, hostname: 'box.example.org', isHttpAllowed: true };
    const byName = await call(`http://box.example.org:${server.port}/rest/`, { lookup: lookupTo('127.0.0.1') }, [
      named,
    ]);
    expect(byName.statusCode).toBe(200);
    await byName.body.dump();
    expect(trapped).toBe(0);
  });

  it('ends a look-up that does not answer', async () => {
    const called = call('http://acme.bitrix24.com/rest/', { lookup: () => undefined, connectTimeoutMs: 200 });
    await expect(called).rejects.toMatchObject({ code: 'UND_ERR_CONNECT_TIMEOUT' });
  });
});

describe('a call to a portal', () => {
  function transport(timeoutMs = 2000, lookup?: LookupFunction) {
    const rules = createHostRules({ portalHosts: [server.entry], oauthHosts: [] });
    return createRestTransport({ dispatcher: createOutbound(rules, lookup && { lookup }), rules, timeoutMs });
  }
  function post(method = 'profile', timeoutMs = 2000) {
    const endpoint = new URL(server.endpoint);
    return transport(timeoutMs).post({ endpoint, method, params: { a: 1 }, accessToken: 'token-1', signal });
  }

  it('carries the token in its body and not in its address', async () => {
    server.answer = () => ({ body: { result: 'yes' } });
    expect(await post('imconnector.status')).toMatchObject({ kind: 'result', result: 'yes' });
    const last = server.requests.at(-1);
    expect(last).toMatchObject({ url: '/rest/imconnector.status', httpMethod: 'POST' });
    expect(last?.body).toEqual({ a: 1, auth: 'token-1' });
  });

  it('is not made to another address or for what is no method', async () => {
    const before = server.requests.length;
    const forged = [`http://127.0.0.1:${trapPort()}/rest/`, 'https://evil.org/rest/', `${server.endpoint}x/`];
    for (const href of forged) {
      const call1 = { endpoint: new URL(href), method: 'profile', params: {}, accessToken: 'token-1', signal };
      await expect(transport().post(call1)).rejects.toMatchObject({ code: 'REST_HOST_REFUSED' });
    }
    for (const method of ['', '..', 'a..b', '../x', 'a/b', 'a?b', '.a', 'x'.repeat(129)])
      await expect(post(method)).rejects.toMatchObject({ code: 'REST_REFUSED' });
    expect(server.requests).toHaveLength(before);
    expect(trapped).toBe(0);
  });

  it('is refused where a portal of the cloud leads to a private address', async () => {
    const endpoint = new URL('https://acme.bitrix24.com/rest/');
    const calling = transport(2000, lookupTo('127.0.0.1'));
    const reply = await calling.post({ endpoint, method: 'profile', params: {}, accessToken: 'token-1', signal });
    expect(reply).toEqual({ kind: 'host-refused', code: HOST_REFUSED });
  });

  it.each([301, 302, 307, 308])('does not follow a redirect %i', async (status) => {
    const location = `http://127.0.0.1:${trapPort()}/rest/profile`;
    server.answer = () => ({ status, headers: { location } });
    expect(await post()).toEqual({ kind: 'moved', location });
    expect(trapped).toBe(0);
  });

  it.each([
    ['hang', 'no answer within 300 ms'],
    ['half', 'UND_ERR_SOCKET'],
    ['endless', 'the answer is too large'],
  ] as const)('ends in time when the answer is %s', async (answer, code) => {
    server.answer = () => answer;
    expect(await post('profile', answer === 'hang' ? 300 : 5000)).toEqual({ kind: 'unreachable', code });
  });

  it('ends in time when the answer comes byte by byte', async () => {
    server.answer = () => 'drip';
    expect(await post('profile', 300)).toEqual({ kind: 'unreachable', code: 'no answer within 300 ms' });
  });

  it('ends with its signal', async () => {
    server.answer = () => 'hang';
    const controller = new AbortController();
    const endpoint = new URL(server.endpoint);
    const call1 = { endpoint, method: 'profile', params: {}, accessToken: 'token-1', signal: controller.signal };
    const startedAtMs = Date.now();
    const posted = transport(20_000).post(call1);
    controller.abort(new Error('enough'));
    await expect(posted).rejects.toThrow('enough');
    expect(Date.now() - startedAtMs).toBeLessThan(10_000);
  });

  it('never gives its token back as a code', async () => {
    server.answer = () => ({ status: 400, body: { error: 'bad token-1' } });
    expect(await post()).toEqual({ kind: 'never', code: 'withheld' });
  });
});
