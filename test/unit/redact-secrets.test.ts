import { describe, expect, it } from '@jest/globals';
import type { ParsedEnvelope } from '../../src/shared/bitrix24/parse-event.js';
import { ACCESS_TOKEN, APPLICATION_TOKEN, AUTH, BODY, envelopeOf } from '../support/envelopes.js';

function withAuth(fields: object): ParsedEnvelope {
  return envelopeOf({ ...BODY, auth: { ...AUTH, ...fields } });
}

function withData(data: unknown, event = 'ONX'): ParsedEnvelope {
  return envelopeOf({ ...BODY, event, data });
}

function inTheOpen(envelope: ParsedEnvelope): string {
  return JSON.stringify({ ...envelope, secrets: undefined });
}

describe('secrets', () => {
  it('are moved out of auth, unknown fields and all', () => {
    const refreshToken = '4s386p3q0tr8dy89xvmt96234v3dljg8';
    const envelope = withAuth({ refresh_token: refreshToken, novel: { deep: ['hidden-value'] } });
    expect(inTheOpen(envelope)).not.toMatch(
      new RegExp(`${refreshToken}|${ACCESS_TOKEN}|${APPLICATION_TOKEN}|hidden-value`),
    );
    expect(envelope.secrets.auth).toStrictEqual({
      access_token: ACCESS_TOKEN,
      application_token: APPLICATION_TOKEN,
      refresh_token: refreshToken,
      novel: { deep: ['hidden-value'] },
    });
  });

  it.each([
    ['client_endpoint', 'https://user:passw0rd@some-domain.bitrix24.com/rest/'],
    ['client_endpoint', 'https://some-domain.bitrix24.com/rest/1/abcdefgh12345678/'],
    ['client_endpoint', 'https://some-domain.bitrix24.com/rest/?auth=abcdefgh12345678'],
    ['client_endpoint', 'ftp://some-domain.bitrix24.com/rest/'],
    ['server_endpoint', 'https://oauth.bitrix24.tech/rest/#abcdefgh12345678'],
    ['server_endpoint', `https://${ACCESS_TOKEN}.bitrix24.tech/rest/`],
    ['domain', `${APPLICATION_TOKEN}.bitrix24.com`],
    ['domain', 'https://other.bitrix24.com'],
    ['scope', `crm,${ACCESS_TOKEN}`],
    ['scope', ['crm']],
    ['status', ACCESS_TOKEN],
    ['user_id', '27abc'],
    ['expires', { z: '1' }],
  ])('do not stand in auth.%s as %j', (field, value) => {
    const envelope = withAuth({ [field]: value });
    expect(envelope.secrets.auth[field]).toStrictEqual(value);
    expect(inTheOpen(envelope)).not.toContain(JSON.stringify(value).slice(1, -1));
    expect(Object.values(envelope.auth).filter((each) => each === null)).toHaveLength(1);
  });

  it.each(['http://localhost:8080/rest/', 'https://some-domain.bitrix24.com/rest', 'https://портал.рф/rest/'])(
    'are not suspected in the endpoint %s',
    (endpoint) => {
      expect(withAuth({ client_endpoint: endpoint }).auth.clientEndpoint).toBe(endpoint);
    },
  );

  it('are not made of what stands in the open by right, if a new field repeats it', () => {
    const repeated = { portal: AUTH.domain, rest: AUTH.client_endpoint, id: AUTH.member_id, until: AUTH.expires };
    const envelope = envelopeOf({ ...BODY, auth: { ...AUTH, ...repeated }, data: repeated });
    expect(envelope.body).toStrictEqual({ state: 'open', payload: repeated });
    expect(envelope.auth).toStrictEqual(envelopeOf(BODY).auth);
    expect(envelope.secrets.auth).toMatchObject(repeated);
  });

  it.each([
    'TOKEN',
    'token',
    'access_token',
    'REFRESH_TOKEN',
    'application_token',
    'APPLICATION_TOKEN',
    'event_token',
    'AUTH_ID',
    'REFRESH_ID',
    'auth',
    'client_secret',
    'secret',
    'password',
    'APP_SID',
    'sid',
    'auth_code',
    'accessToken',
    'clientSecret',
    'api_key',
    'bot_token',
    'AUTH-ID',
    'auth.id',
    'AuthId',
    'tokens',
    'accessTokens',
    'token2',
    'TOKEN_1',
    'accessKey',
    'access_key',
    'apiKey',
    'API-KEYS',
    'chatSid',
  ])('are moved out of data by the name %s, at any depth', (name) => {
    const envelope = withData({ list: [{ [name]: 'zq81-hidden' }], [name]: { deep: 'zq81-hidden' }, METHOD: 'x' });
    expect(inTheOpen(envelope)).not.toContain('zq81-hidden');
    expect(envelope.body).toStrictEqual({
      state: 'open',
      payload: { list: [{ [name]: '[sealed]' }], [name]: '[sealed]', METHOD: 'x' },
    });
    expect(envelope.secrets.data).toStrictEqual(['zq81-hidden', { deep: 'zq81-hidden' }]);
  });

  it.each([
    'tokens_left',
    'author',
    'AUTHOR_ID',
    'author_id',
    'authorId',
    'AUTHORS',
    'inside',
    'secretary',
    'passwords_policy',
    'CONNECTOR',
    'TITLE',
    'KEY',
    'im',
    'user_id',
  ])('are not seen in the name %s', (name) => {
    expect(withData({ [name]: 'value' }).body).toStrictEqual({ state: 'open', payload: { [name]: 'value' } });
  });

  it('from auth are cut out of any text of data', () => {
    const link = `https://x.bitrix24.com/f?auth=${ACCESS_TOKEN}&again=${ACCESS_TOKEN}&t=${APPLICATION_TOKEN}`;
    const envelope = withData({ FIELDS: { LINK: link, LIST: ['a', ACCESS_TOKEN] } });
    expect(envelope.body).toStrictEqual({
      state: 'open',
      payload: {
        FIELDS: { LINK: 'https://x.bitrix24.com/f?auth=[sealed]&again=[sealed]&t=[sealed]', LIST: ['a', '[sealed]'] },
      },
    });
    expect(envelope.secrets.data).toStrictEqual([link, ACCESS_TOKEN]);
  });

  it('are cut out of data that is a bare text, of keys, and as a link spells them', () => {
    expect(withData(`x${ACCESS_TOKEN}`)).toMatchObject({
      body: { payload: 'x[sealed]' },
      secrets: { data: [`x${ACCESS_TOKEN}`] },
    });
    const keyed = withData({ [ACCESS_TOKEN]: 'a', [`${ACCESS_TOKEN}2`]: 'b' });
    expect(keyed.body).toMatchObject({ payload: { '[sealed]~0': '[sealed]', '[sealed]2~1': '[sealed]' } });
    expect(keyed.secrets.data).toStrictEqual(['a', 'b']);
    const spelled = envelopeOf({
      ...BODY,
      auth: { ...AUTH, access_token: 'a/b c+d/e f' },
      data: 'q=a%2Fb%20c%2Bd%2Fe%20f',
    });
    expect(spelled.body).toMatchObject({ payload: 'q=[sealed]' });
  });

  it('are not seen in an empty field, whatever its name', () => {
    expect(withData({ TOKEN: '' })).toMatchObject({ body: { payload: { TOKEN: '' } }, secrets: { data: [] } });
  });

  it('that contain one another are cut out whole', () => {
    const envelope = envelopeOf({
      ...BODY,
      auth: { ...AUTH, long_token: `${ACCESS_TOKEN}-tail` },
      data: `${ACCESS_TOKEN}-tail`,
    });
    expect(envelope.body).toMatchObject({ payload: '[sealed]' });
  });

  it('hidden in a suspect endpoint are cut out of data too', () => {
    const auth = { ...AUTH, client_endpoint: 'https://some-domain.bitrix24.com/rest/1/abcdefgh12345678/' };
    const envelope = envelopeOf({ ...BODY, auth, data: { a: 'abcdefgh12345678', b: 'some-domain.bitrix24.com' } });
    expect(envelope.body).toMatchObject({ payload: { a: '[sealed]', b: 'some-domain.bitrix24.com' } });
    expect(envelope.auth.serverEndpoint).toBe('https://oauth.bitrix24.tech/rest/');
  });

  it('leave typed and quarantined data as well', () => {
    const files = [{ name: 'a', link: `https://x/?auth=${ACCESS_TOKEN}`, token: 'zq81-hidden' }];
    const message = { im: { chat_id: 1, message_id: 2 }, message: { files }, chat: { id: 'c' } };
    const data = { CONNECTOR: 'c', LINE: 1, MESSAGES: [message] };
    const typed = withData(data, 'ONIMCONNECTORMESSAGEADD');
    const quarantined = withData({ ...data, LINE: ACCESS_TOKEN }, 'ONIMCONNECTORMESSAGEADD');
    expect([typed.body.state, quarantined.body.state]).toStrictEqual(['typed', 'quarantined']);
    for (const envelope of [typed, quarantined]) expect(inTheOpen(envelope)).not.toMatch(/5680b91b|zq81-hidden/);
    expect(typed.secrets.data).toStrictEqual([`https://x/?auth=${ACCESS_TOKEN}`, 'zq81-hidden']);
  });

  it('from auth are cut out in whichever case, and the rest of the text keeps its own', () => {
    expect(withData({ LINK: `Über İ ${ACCESS_TOKEN.toUpperCase()} Ende` }).body).toMatchObject({
      payload: { LINK: 'Über İ [sealed] Ende' },
    });
    expect(withData({ [APPLICATION_TOKEN.toUpperCase()]: 'x' }).body).toMatchObject({
      payload: { '[sealed]~0': '[sealed]' },
    });
  });

  it('in data are cut out of all else in it, values and keys, whatever comes first', () => {
    const envelope = withData({
      URL: 'https://x.example/f?auth=Zq81-Hidden&x=1',
      'of zq81-hidden': 'a',
      FIELDS: { AUTH_ID: 'zq81-hidden', MORE: { TOKENS: ['second/secret'] } },
      LIST: ['x second%2Fsecret'],
    });
    expect(envelope.body).toStrictEqual({
      state: 'open',
      payload: {
        URL: 'https://x.example/f?auth=[sealed]&x=1',
        'of [sealed]~1': '[sealed]',
        FIELDS: { AUTH_ID: '[sealed]', MORE: { TOKENS: '[sealed]' } },
        LIST: ['x [sealed]'],
      },
    });
  });

  it('are not made of a host, a number, the portal or a scope that stands under a secret name in data', () => {
    const { domain, member_id, expires, scope, client_endpoint } = AUTH;
    const copies = [domain, member_id, expires, scope, client_endpoint];
    const { body } = withData({ auth: { domain, member_id, expires, scope, client_endpoint }, copies });
    expect(body).toStrictEqual({ state: 'open', payload: { auth: '[sealed]', copies } });
  });

  it('as keys never take the place of another key', () => {
    const { body } = withData({ [ACCESS_TOKEN]: 'a', '[sealed]~0': 'b', '[sealed]~0~': 'c' });
    expect(body).toMatchObject({ payload: { '[sealed]~0': 'b', '[sealed]~0~': 'c', '[sealed]~0~~': '[sealed]' } });
  });

  it('of more than 250 characters are found by their beginning, and take the text with them', () => {
    const long = 'q7'.repeat(200);
    const envelope = envelopeOf({ ...BODY, auth: { ...AUTH, novel: long }, data: { a: `x${long}y`, b: 'x' } });
    expect(envelope.body).toStrictEqual({ state: 'open', payload: { a: '[sealed]', b: 'x' } });
    expect(envelope.secrets.data).toStrictEqual([`x${long}y`]);
  });

  it('in unknown fields do not use up the room of the named ones', () => {
    const novel = Array.from({ length: 100 }, (_, index) => `a-long-value-that-says-nothing-of-itself-${index}`);
    const { body } = envelopeOf({ ...BODY, auth: { novel, ...AUTH }, data: `x${ACCESS_TOKEN}` });
    expect(body).toMatchObject({ payload: 'x[sealed]' });
  });

  it('are searched for in a text of 1 MiB, which is not sealed unread', () => {
    const text = `${'Lorem ipsum dolor sit amet '.repeat(38_000)}${ACCESS_TOKEN}`;
    const auth = { ...AUTH, novel: 'n'.repeat(1000) };
    expect(envelopeOf({ ...BODY, auth, data: { text } }).body).toStrictEqual({
      state: 'open',
      payload: { text: text.replace(ACCESS_TOKEN, '[sealed]') },
    });
  });

  it.each([
    ['the start', (index: number) => `${'a'.repeat(190 + index)}b`],
    ['the end', (index: number) => `b${'a'.repeat(190 + index)}`],
    ['both', (index: number) => `${'a'.repeat(150)}b${'a'.repeat(400 + index)}`],
    ['all of it', (index: number) => `b${'a'.repeat(400_000 + index)}`],
  ])('that repeat themselves at %s are searched for in bounded time', (_, novelAt) => {
    const auth = { ...AUTH, novel: Array.from({ length: 60 }, (__, index) => novelAt(index)) };
    const startMs = performance.now();
    envelopeOf({ ...BODY, auth, data: { text: 'a'.repeat(1_048_576) } });
    expect(performance.now() - startMs).toBeLessThan(3_000);
  });
});
