import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHostRules } from '../../src/shared/bitrix24/rest/host-rules.js';
import { createOAuthClient } from '../../src/shared/bitrix24/rest/oauth-client.js';
import { createOutbound } from '../../src/shared/bitrix24/rest/outbound.js';
import { startRestServer, type RestAnswer, type RestServer } from '../support/rest-server.js';

let server: RestServer;
beforeAll(async () => {
  server = await startRestServer();
});
afterAll(() => server.close());
beforeEach(() => {
  server.answer = () => ({ status: 500 });
});

const signal = new AbortController().signal;
const INSTALL = { installed: true, status: 'L', domain: 'acme.bitrix24.com', member_id: 'm1' };
const INFO = { client_id: 'local.1', user_id: '7', install: INSTALL };
const PAIR = { access_token: 'a2', refresh_token: 'r2', member_id: 'm1', user_id: 7, domain: 'oauth.bitrix.info' };

function client(timeoutMs = 2000) {
  const rules = createHostRules({ portalHosts: [], oauthHosts: [server.entry] });
  const secrets = { clientId: 'local.1', clientSecret: 'the-secret' };
  return createOAuthClient({ dispatcher: createOutbound(rules), rules, timeoutMs, ...secrets });
}

function appInfo(answer: RestAnswer, timeoutMs?: number) {
  server.answer = () => answer;
  return client(timeoutMs).appInfo(new URL(server.endpoint), 'access-1', signal);
}

function renew(answer: RestAnswer, timeoutMs?: number) {
  server.answer = () => answer;
  return client(timeoutMs).renew(new URL(server.endpoint), 'refresh-1', signal);
}

describe('whose an access token is', () => {
  it('is read from app.info, whatever type its fields have', async () => {
    const install = {
      ...INSTALL,
      installed: 'true',
      client_endpoint: 'https://acme.bitrix24.com/rest/',
      member_id: 12,
    };
    expect(await appInfo({ body: { result: { ...INFO, install }, time: {} } })).toEqual({
      kind: 'valid',
      clientId: 'local.1',
      memberId: '12',
      userId: 7,
      domain: 'acme.bitrix24.com',
      clientEndpoint: 'https://acme.bitrix24.com/rest/',
      isInstalled: true,
      status: 'L',
    });
    expect(server.requests.at(-1)).toMatchObject({ url: '/rest/app.info?auth=access-1', httpMethod: 'GET' });
  });

  it('tells an app that is not installed, and what is missing, from the rest', async () => {
    const answerWith = (more: object) => ({
      body: { result: { client_id: 'local.1', install: { member_id: 'm1', ...more } } },
    });
    const bare = { kind: 'valid', userId: null, clientEndpoint: null };
    expect(await appInfo(answerWith({ installed: false }))).toMatchObject({ ...bare, isInstalled: false });
    // Where nothing is said of it, the token is proof enough that the app is there.
    expect(await appInfo(answerWith({}))).toMatchObject({ ...bare, isInstalled: true });
  });

  it.each([
    [401, 'expired_token', 'invalid'],
    [401, 'invalid_token', 'invalid'],
    [401, 'NO_AUTH_FOUND', 'invalid'],
    [200, 'wrong_client', 'invalid'],
    [200, 'PAYMENT_REQUIRED', 'unavailable'],
    [503, 'QUERY_LIMIT_EXCEEDED', 'unavailable'],
    [400, 'OPERATION_TIME_LIMIT', 'unavailable'],
    [400, 'overload_limit', 'unavailable'],
    [429, 'ANYTHING', 'unavailable'],
    [500, 'ANYTHING', 'unavailable'],
  ])('is not told: %i %s is %s', async (status, error, kind) => {
    expect(await appInfo({ status, body: { error } })).toEqual({ kind, code: error });
  });

  it('is not known where the answer is none', async () => {
    expect(await appInfo({ body: { result: { client_id: 'x' } } })).toEqual({ kind: 'unavailable', code: 'HTTP 200' });
    expect(await appInfo({ status: 502, body: '<html>' })).toEqual({ kind: 'unavailable', code: 'HTTP 502' });
    const moved = { status: 302, headers: { location: `${server.endpoint}app.info` } };
    expect(await appInfo(moved)).toEqual({ kind: 'unavailable', code: 'HTTP 302' });
    expect(await appInfo('half')).toMatchObject({ kind: 'unavailable' });
    expect(await appInfo('drip', 200)).toEqual({ kind: 'unavailable', code: 'no answer within 200 ms' });
  });
});

describe('the renewal of tokens', () => {
  it('sends the secret in a form, and gives the new pair without the domain of the OAuth server', async () => {
    expect(await renew({ body: { ...PAIR, client_endpoint: 'https://acme.bitrix24.com/rest/' } })).toEqual({
      kind: 'renewed',
      accessToken: 'a2',
      refreshToken: 'r2',
      memberId: 'm1',
      userId: 7,
      clientEndpoint: 'https://acme.bitrix24.com/rest/',
      status: null,
    });
    const last = server.requests.at(-1);
    expect(last).toMatchObject({ url: '/oauth/token/', httpMethod: 'POST' });
    expect(last?.body).toEqual({
      grant_type: 'refresh_token',
      client_id: 'local.1',
      client_secret: 'the-secret',
      refresh_token: 'refresh-1',
    });
  });

  it.each([
    [400, 'invalid_grant', { kind: 'dead' }],
    [200, 'invalid_grant', { kind: 'dead' }],
    [401, 'NOT_INSTALLED', { kind: 'dead' }],
    [401, 'NO_AUTH_FOUND', { kind: 'dead' }],
    [200, 'PAYMENT_REQUIRED', { kind: 'suspended', reason: 'payment' }],
    [500, 'PORTAL_DELETED', { kind: 'suspended', reason: 'deleted' }],
    [400, 'invalid_request', { kind: 'refused' }],
    [401, 'invalid_client', { kind: 'refused' }],
    [200, 'wrong_client', { kind: 'refused' }],
    [403, 'insufficient_scope', { kind: 'refused' }],
    [403, 'invalid_scope', { kind: 'refused' }],
    [503, 'QUERY_LIMIT_EXCEEDED', { kind: 'unavailable' }],
    [500, 'INTERNAL_SERVER_ERROR', { kind: 'unavailable' }],
  ])('%i %s is %j', async (status, error, expected) => {
    expect(await renew({ status, body: { error, error_description: 'x' } })).toEqual({ ...expected, code: error });
  });

  it('is not done where the answer holds no pair, or does not come', async () => {
    expect(await renew({ body: { ...PAIR, refresh_token: '' } })).toEqual({ kind: 'unavailable', code: 'HTTP 200' });
    expect(await renew({ status: 404, body: 'not found' })).toEqual({ kind: 'unavailable', code: 'HTTP 404' });
    expect(await renew('half')).toMatchObject({ kind: 'unavailable' });
    expect(await renew('endless')).toEqual({ kind: 'unavailable', code: 'the answer is too large' });
    expect(await renew('hang', 200)).toMatchObject({ kind: 'unavailable' });
  });

  it('does not tell the secret to any other server', async () => {
    const before = server.requests.length;
    const forged = [
      'https://evil.org/rest/',
      `http://localhost:${server.port}/rest/`,
      'http://oauth.bitrix.info/rest/',
    ];
    for (const href of forged) {
      await expect(client().renew(new URL(href), 'r', signal)).rejects.toMatchObject({ code: 'REST_HOST_REFUSED' });
      await expect(client().appInfo(new URL(href), 'a', signal)).rejects.toMatchObject({ code: 'REST_HOST_REFUSED' });
    }
    expect(server.requests).toHaveLength(before);
  });

  it('does not give a secret back as a code', async () => {
    expect(await renew({ body: { error: 'no the-secret' } })).toEqual({ kind: 'refused', code: 'withheld' });
    expect(await appInfo({ body: { error: 'no access-1' } })).toEqual({ kind: 'invalid', code: 'withheld' });
  });
});
