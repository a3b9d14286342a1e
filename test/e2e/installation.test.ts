import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { AppSystem } from '../support/app-system.js';
import { waitUntil } from '../support/wait-until.js';

let app: AppSystem;

beforeAll(async () => {
  app = await AppSystem.start({ portals: [{}, {}, {}] });
  await app.install();
});
afterAll(() => app.close());

const ADD = 'ONIMCONNECTORMESSAGEADD';
const INSTALL = { VERSION: '1.0.0', ACTIVE: 'Y', INSTALLED: 'Y', LANGUAGE_ID: 'en' };

function rejected(): readonly Record<string, unknown>[] {
  return app.system.worker?.logged('delivery.rejected') ?? [];
}

/** The next reason for which an installation is refused. */
async function refusal(post: () => Promise<unknown>): Promise<string> {
  const before = rejected().length;
  await post();
  await waitUntil('it is rejected', () => rejected().length > before);
  return String(rejected().at(-1)?.reason);
}

describe('an installed portal', () => {
  it('has the events of the app bound to our address', () => {
    const bound = app.portal.state.handlers.map(({ event, url }) => [event, url]);
    expect(bound).toContainEqual([ADD, app.system.url]);
    expect(bound).toContainEqual(['ONAPPUPDATE', app.system.url]);
  });

  it('is let in with its token, and a forgery is not', async () => {
    const before = app.forwarded(ADD);
    await app.portal.send(ADD);
    await app.forwards(ADD, before + 1);
    expect(await refusal(() => app.portal.send(ADD, undefined, { auth: { application_token: 'forged' } }))).toMatch(
      /^TOKEN_MISMATCH/,
    );
  });

  it('was installed by its page alone, without an event', async () => {
    const [, portal] = app.portals;
    const page = app.system.url.replace('/events', '/install');
    const answer = await portal?.install({ eventsUrl: app.system.url, page });
    expect(answer).toMatchObject({ kind: 'answered', status: 200 });
    await app.isSetUp(portal);
    const before = app.forwarded(ADD);
    await portal?.send(ADD);
    await app.forwards(ADD, before + 1);
  });
});

describe('a forged installation', () => {
  it.each([
    ['with an invented access token', { access_token: 'invented' }],
    ["with another portal's access token", 'foreign'],
    ["with another app's access token", 'other-app'],
    ["with an employee's real access token", 'employee'],
    ['with no access token', { access_token: null }],
  ])('%s changes nothing for a known portal', async (_name, attack) => {
    const { portal } = app;
    const reason = await refusal(() => portal.send('ONAPPINSTALL', INSTALL, attackWith(attack)));
    expect(reason).toMatch(/^(PROOF_REFUSED|TOKEN_MISMATCH)/);
    const before = app.forwarded(ADD);
    await portal.send(ADD);
    await app.forwards(ADD, before + 1);
    const forged = () => portal.send(ADD, undefined, { auth: { application_token: 'the-token-of-the-attacker' } });
    expect(await refusal(forged)).toMatch(/^TOKEN_MISMATCH/);
  });

  it("with an administrator's real access token counts for nothing until the portal confirms its token", async () => {
    const { portal } = app;
    const calls = portal.calls.filter(({ method }) => method === 'event.test').length;
    const tokens = portal.tokensOf({ admin: true });
    await portal.send('ONAPPINSTALL', INSTALL, { tokens, auth: { application_token: 'the-token-of-the-attacker' } });
    await waitUntil(
      'the portal is asked',
      () => portal.calls.filter(({ method }) => method === 'event.test').length > calls,
    );
    await app.logs('portal.not_confirmed');
    const before = app.forwarded(ADD);
    await portal.send(ADD);
    await app.forwards(ADD, before + 1);
    expect(app.forwarded('ONAPPTEST')).toBe(0);
  });

  it.each([
    ['server_endpoint', (host: string) => `http://${host}/rest/`],
    ['client_endpoint', (host: string) => `http://${host}/rest/`],
    ['server_endpoint', (host: string) => `http://oauth.bitrix.info@${host}/rest/`],
    ['client_endpoint', (host: string) => `http://x.bitrix24.com@${host}/rest/`],
    ['server_endpoint', (host: string) => `http://localhost:${host.split(':')[1]}/rest/`],
  ])('with a %s of an attacker sends no request there', async (field, forge) => {
    let requests = 0;
    const server = createServer((_request, response) => {
      requests += 1;
      response.end('{}');
    });
    server.on('connection', () => (requests += 1));
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [, , portal] = app.portals;
    const post = () =>
      portal?.send('ONAPPINSTALL', INSTALL, {
        url: app.system.url,
        auth: { access_token: 'invented', [field]: forge(host) },
      }) ?? Promise.resolve();
    expect(await refusal(post)).toMatch(/^PROOF_REFUSED/);
    expect(requests).toBe(0);
    server.close();
  });
});

function attackWith(attack: string | Readonly<Record<string, unknown>>) {
  const { portal } = app;
  const application_token = 'the-token-of-the-attacker';
  const [, other] = app.portals;
  switch (attack) {
    case 'employee':
      return { tokens: portal.tokensOf({ admin: false }), auth: { application_token } };
    case 'other-app':
      return { tokens: portal.tokensOf({ admin: true, clientId: 'local.other' }), auth: { application_token } };
    case 'foreign': {
      const { accessToken } = other?.tokensOf({ admin: true }) ?? {};
      return { auth: { application_token, access_token: accessToken } };
    }
    default:
      return { auth: { application_token, ...(attack as object) } };
  }
}
