import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { DEFAULT_CONNECTOR } from '../../src/simulator/portal-state.js';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { startSimulator, type Simulator } from '../../src/simulator/start-simulator.js';
import { startStubApp, type StubApp } from '../support/stub-app.js';
import { waitUntil } from '../support/wait-until.js';

let simulator: Simulator;
let portal: SimulatedPortal;
let app: StubApp;

beforeEach(async () => {
  app = await startStubApp();
  simulator = await startSimulator();
  portal = await simulator.addPortal();
});

afterEach(async () => {
  await simulator.close();
  await app.close();
});

async function call(method: string, params: Record<string, unknown> = {}, admin = true): Promise<unknown> {
  const auth = portal.tokensOf({ admin }).accessToken;
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ ...params, auth });
  const answer = await fetch(`${portal.clientEndpoint}${method}`, { method: 'POST', headers, body });
  return answer.json();
}

function authOf(event: string): Record<string, string> {
  return app.events(event)[0]?.form['auth'] as Record<string, string>;
}

describe('an installation by the event', () => {
  test('posts ONAPPINSTALL with tokens of the administrator that hold, its keys in the order of the sender', async () => {
    await expect(portal.install({ eventsUrl: app.url })).resolves.toMatchObject({ kind: 'answered', status: 200 });

    const [event] = app.requests;
    const { access_token: accessToken = '', ...auth } = authOf('ONAPPINSTALL');
    expect(Object.keys(event?.form ?? {})).toEqual(['event', 'data', 'ts', 'auth']);
    expect(event?.headers).toMatchObject({
      'content-type': 'application/x-www-form-urlencoded',
      'user-agent': 'Bitrix24 Webhook Engine',
    });
    expect(auth).toMatchObject({
      application_token: portal.applicationToken,
      client_endpoint: portal.clientEndpoint,
      server_endpoint: `${simulator.url}/rest/`,
      member_id: portal.memberId,
      domain: portal.host,
    });
    const info = await fetch(`${simulator.url}/rest/app.info?auth=${accessToken}`);
    await expect(info.json()).resolves.toMatchObject({ result: { user_id: '1', install: { installed: true } } });
  });
});

describe('an installation by the page', () => {
  test('posts the fields of the page, and is complete once the page ends it', async () => {
    const page = app.url.replace('/events', '/install?x=1');
    await portal.install({ eventsUrl: app.url, page });
    const before = portal.state.isInstalled;
    app.answer = () => ({ status: 200, body: '<script>BX24.init(() => BX24.installFinish())</script>' });
    await portal.install({ page });

    const [request] = app.requests;
    expect([before, portal.state.isInstalled]).toEqual([false, true]);
    expect(Object.fromEntries(request?.query ?? [])).toEqual({
      x: '1',
      DOMAIN: portal.host,
      PROTOCOL: '0',
      LANG: 'en',
      APP_SID: expect.stringMatching(/^[0-9a-f]{32}$/),
    });
    expect(request?.form).toEqual({
      AUTH_ID: expect.any(String),
      AUTH_EXPIRES: '3600',
      REFRESH_ID: expect.any(String),
      SERVER_ENDPOINT: `${simulator.url}/rest/`,
      APPLICATION_TOKEN: portal.applicationToken,
      APPLICATION_SCOPE: 'imconnector,imopenlines',
      member_id: portal.memberId,
      status: 'F',
      PLACEMENT: 'DEFAULT',
    });
    expect(app.events('ONAPPINSTALL')).toEqual([]);
  });
});

describe('the life after it', () => {
  beforeEach(async () => {
    await portal.install({ eventsUrl: app.url });
  });

  test('an update takes the handlers away and brings a new application token, where it is wanted', async () => {
    await call('event.bind', { event: 'OnImConnectorMessageAdd', handler: app.url });
    const before = portal.applicationToken;

    await portal.update({ newToken: true });

    expect(portal.applicationToken).not.toBe(before);
    expect(authOf('ONAPPUPDATE')).toMatchObject({
      application_token: portal.applicationToken,
      refresh_token: expect.any(String),
    });
    expect(app.events('ONAPPUPDATE')[0]?.form['data']).toMatchObject({ VERSION: '2.0.0', PREVIOUS_VERSION: '1.0.0' });
    await expect(call('event.get')).resolves.toMatchObject({ result: [] });
  });

  test('an uninstallation carries no tokens, and those that were given out are dead when it comes', async () => {
    const { accessToken } = portal.tokensOf({ admin: true });
    app.answer = async () => {
      const answer = await fetch(`${portal.clientEndpoint}profile?auth=${accessToken}`);
      return { status: answer.status === 401 ? 200 : 500 };
    };

    await expect(portal.uninstall({ clean: false })).resolves.toMatchObject({ status: 200 });

    expect(app.events('ONAPPUNINSTALL')[0]?.form['data']).toEqual({ LANGUAGE_ID: 'en', CLEAN: '0' });
    expect(Object.keys(authOf('ONAPPUNINSTALL'))).toEqual([
      'domain',
      'server_endpoint',
      'client_endpoint',
      'member_id',
      'application_token',
    ]);
  });

  test('a payment that ran out closes the REST, and a payment opens it', async () => {
    await portal.pay({ expired: true });
    await expect(call('profile')).resolves.toMatchObject({ error: 'PAYMENT_REQUIRED' });
    await portal.pay({ expired: false });
    await expect(call('profile')).resolves.toMatchObject({ result: { ID: '1' } });

    expect(app.events('ONAPPPAYMENT').map(({ form }) => form['data'])).toEqual([
      expect.objectContaining({ PAYMENT_EXPIRED: 'Y' }),
      expect.objectContaining({ PAYMENT_EXPIRED: 'N' }),
    ]);
  });

  test('the settings of a connector are opened by an administrator or by an employee, for one line', async () => {
    const url = app.url.replace('/events', '/connector');
    await portal.openPlacement({ url, connector: DEFAULT_CONNECTOR, line: 1 });
    await portal.openPlacement({ url, connector: DEFAULT_CONNECTOR, line: 2, userIsAdmin: false });

    const [byAdmin, byEmployee] = app.requests.slice(-2);
    expect(byAdmin?.form['PLACEMENT']).toBe('SETTING_CONNECTOR');
    expect(JSON.parse(String(byAdmin?.form['PLACEMENT_OPTIONS']))).toEqual({
      LINE: 1,
      ACTIVE_STATUS: 1,
      CONNECTOR: DEFAULT_CONNECTOR,
    });
    expect(JSON.parse(String(byEmployee?.form['PLACEMENT_OPTIONS']))).toMatchObject({ LINE: 2, ACTIVE_STATUS: 0 });
    const profile = await fetch(`${portal.clientEndpoint}profile?auth=${String(byEmployee?.form['AUTH_ID'])}`);
    await expect(profile.json()).resolves.toMatchObject({ result: { ADMIN: false } });
  });
});

describe('handlers', () => {
  beforeEach(async () => {
    await portal.install({ eventsUrl: `${app.url}/from-installation` });
  });

  test('that are bound get the events in the place of the address of the installation, under an id of their own', async () => {
    await call('event.bind', { event: 'onImConnectorMessageAdd', handler: app.url });
    await portal.send('ONIMCONNECTORMESSAGEADD');
    await portal.send('ONIMCONNECTORMESSAGEDELETE');

    const [added] = app.events('ONIMCONNECTORMESSAGEADD');
    expect(added?.path).toBe('/events');
    expect(Number(added?.form['event_handler_id'])).toBeGreaterThan(553);
    expect(app.events('ONIMCONNECTORMESSAGEDELETE')[0]?.path).toBe('/events/from-installation');
  });

  test('cannot be bound twice, are listed without their ids, and can be taken away', async () => {
    const handler = { event: 'ONAPPTEST', handler: app.url };
    await expect(call('event.bind', handler)).resolves.toMatchObject({ result: true });
    await expect(call('event.bind', handler)).resolves.toMatchObject({
      error_description: expect.stringContaining('Handler already binded'),
    });
    await expect(call('event.get')).resolves.toMatchObject({
      result: [{ event: 'ONAPPTEST', handler: app.url, auth_type: '0', offline: 0 }],
    });
    await expect(call('event.unbind', handler)).resolves.toMatchObject({ result: { count: 1 } });
    await expect(call('event.get')).resolves.toMatchObject({ result: [] });
  });

  test('cannot be bound to what is no event or no address, nor to the tokens of another by an employee', async () => {
    await expect(call('event.bind', { event: 'X', handler: app.url })).resolves.toMatchObject({
      error: 'ERROR_EVENT_NOT_FOUND',
    });
    await expect(call('event.bind', { event: 'ONX', handler: 'nowhere' })).resolves.toMatchObject({
      error: 'ERROR_ARGUMENT',
    });
    await expect(call('event.bind', { event: 'ONX', handler: app.url, auth_type: 1 }, false)).resolves.toMatchObject({
      error: 'ACCESS_DENIED',
    });
  });

  test('of ONAPPTEST get what event.test was given, with the true application token whatever an app says', async () => {
    await call('event.bind', { event: 'ONAPPTEST', handler: app.url });

    await expect(call('event.test', { nonce: 'n-1', application_token: 'forged' })).resolves.toMatchObject({
      result: 1,
    });

    await waitUntil('the test has come', () => app.events('ONAPPTEST').length === 1);
    expect(app.events('ONAPPTEST')[0]?.form['data']).toEqual({
      QUERY: { nonce: 'n-1', application_token: 'forged' },
      LANGUAGE_ID: 'en',
    });
    expect(authOf('ONAPPTEST')['application_token']).toBe(portal.applicationToken);
  });
});
