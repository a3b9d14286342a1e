import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createCallAs, type CallAs } from '../../src/shared/bitrix24/rest/call-as.js';
import { createHostRules } from '../../src/shared/bitrix24/rest/host-rules.js';
import { createOutbound } from '../../src/shared/bitrix24/rest/outbound.js';
import { createRestTransport } from '../../src/shared/bitrix24/rest/rest-transport.js';
import { startRestServer, type RestServer } from '../support/rest-server.js';

let portal: RestServer;
let renamed: RestServer;
let stranger: RestServer;
let callAs: CallAs;
let end: () => Promise<void>;

beforeAll(async () => {
  [portal, renamed, stranger] = await Promise.all([startRestServer(), startRestServer(), startRestServer()]);
  const rules = createHostRules({ portalHosts: [portal.entry, renamed.entry], oauthHosts: [] });
  const dispatcher = createOutbound(rules);
  callAs = createCallAs({ transport: createRestTransport({ dispatcher, rules, timeoutMs: 3000 }), rules });
  end = async () => {
    await dispatcher.destroy();
    await Promise.all([portal.close(), renamed.close(), stranger.close()]);
  };
});
afterAll(() => end());
beforeEach(() => {
  portal.answer = () => ({ body: { result: 'done' } });
  renamed.answer = () => ({ body: { result: 'renamed' } });
});

function call() {
  const { signal } = new AbortController();
  const endpoint = new URL(portal.endpoint);
  return callAs({ endpoint, method: 'profile', params: { a: 1 }, accessToken: 'of a person', signal });
}

function move(location: string) {
  portal.answer = () => ({ status: 302, headers: { location } });
}

describe('a call in the name of a person', () => {
  it('gives the result', async () => {
    expect(await call()).toBe('done');
  });

  it('is posted again to the new address of a portal that was renamed', async () => {
    move(`${renamed.endpoint}profile?auth=x`);
    expect(await call()).toBe('renamed');
    const request = { url: '/rest/profile', httpMethod: 'POST', body: { a: 1, auth: 'of a person' } };
    expect(renamed.requests.at(-1)).toMatchObject(request);
  });

  it('follows to no host that may not be called', async () => {
    const before = renamed.requests.length;
    const userinfo = `http://user@127.0.0.1:${renamed.port}/rest/profile`;
    for (const location of [stranger.endpoint, 'https://evil.org/rest/profile', userinfo, 'http://[', '']) {
      move(location);
      const code = location === '' ? 'REST_UNEXPECTED' : 'REST_HOST_REFUSED';
      await expect(call()).rejects.toMatchObject({ code });
    }
    expect(stranger.connections).toBe(0);
    expect(renamed.requests).toHaveLength(before);
  });

  it('follows once', async () => {
    move(`${renamed.endpoint}profile`);
    renamed.answer = () => ({ status: 302, headers: { location: `${portal.endpoint}profile` } });
    await expect(call()).rejects.toMatchObject({ code: 'REST_UNEXPECTED', detail: 'a second redirect' });
  });
});
