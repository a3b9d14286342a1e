import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { openConnectorParts, type ConnectorParts } from '../../src/api/pages/connector-parts.js';
import { loadConfig } from '../../src/shared/config.js';
import { createConnectorStates, type ConnectorStates } from '../../src/shared/connector-states.js';
import { createPortalStore, emptyPortal, type Portal, type PortalStore } from '../../src/shared/portals.js';
import { createSealer } from '../../src/shared/sealer.js';
import { toSecretKey } from '../../src/shared/secret-keys.js';
import { APPLICATION_TOKEN, MEMBER_ID } from '../support/deliveries.js';
import { startFakePortal, type FakePortal } from '../support/fake-portal.js';
import { postForPage, startIngressBench, type IngressBench, type ShownPage } from '../support/ingress-bench.js';
import { silentLogger, useSharedRedis, type SharedRedisUse } from '../support/shared-redis.js';
import { waitUntil } from '../support/wait-until.js';

const APP = { B24_CLIENT_ID: 'local.573ad8a0346747.09223434', B24_CLIENT_SECRET: 'client-secret' };
const PERSON_TOKEN = 'd28b6d61007c83a9006ed68d00000001';
const QUERY = '?DOMAIN=some-domain.bitrix24.com&PROTOCOL=1&LANG=en&APP_SID=6a5b4c3d2e1f';
const OTHER_PORTAL = 'a223c6b3710f85df22e9377d6c4f7553';
const HOSTILE = `"><script>alert('x')</script>`;
const CONNECTORS = JSON.stringify([{ id: 'my_messenger', name: 'My <b>messenger</b>' }]);

let redis: SharedRedisUse;
let fake: FakePortal;
let bench: IngressBench;
let parts: ConnectorParts;
let portals: PortalStore;
let states: ConnectorStates;
let nowMs: number;

const sealer = createSealer({ current: toSecretKey(Buffer.alloc(32, 9)), previous: [] });

beforeEach(async () => {
  nowMs = Date.now();
  redis = useSharedRedis();
  fake = await startFakePortal();
  fake.replies.set('profile', { result: { ID: '1', ADMIN: true, NAME: HOSTILE } });
  fake.replies.set('imconnector.status', { result: { LINE: 107, STATUS: false, CONFIGURED: false, ERROR: false } });
  fake.replies.set('imconnector.activate', { result: true });
  fake.replies.set('imconnector.connector.data.set', { result: true });
  portals = createPortalStore({ redis: redis.redis, keys: redis.keys, sealer, prefix: redis.prefix });
  states = createConnectorStates(redis);
  await portals.save(portalOf(MEMBER_ID));
  await startIngress(redis.url);
  // It fails at once as long as it is not connected.
  await waitUntil('Redis is reached', () => parts.portals.find(MEMBER_ID).then(Boolean, () => false));
});

afterEach(async () => {
  await bench.remove();
  await parts.close();
  await fake.close();
  await redis.close();
});

function portalOf(memberId: string, changes: Partial<Portal> = {}): Portal {
  const applicationTokens = [{ token: APPLICATION_TOKEN, receivedBeforeMs: null }];
  return { ...emptyPortal(memberId), clientEndpoint: fake.endpoint, applicationTokens, ...changes };
}

async function startIngress(redisUrl: string): Promise<void> {
  const env = {
    ...APP,
    REDIS_URL: redisUrl,
    QUEUE_PREFIX: redis.prefix,
    B24_PORTAL_HOSTS: fake.host,
    B24_CONNECTORS: CONNECTORS,
    PUBLIC_URL: 'https://app.example',
  };
  parts = openConnectorParts({ config: loadConfig(env), sealer, logger: silentLogger });
  const deps = { sealer, connectorParts: parts, restTimeoutMs: 500, nowMs: () => nowMs };
  bench = await startIngressBench({ env, deps });
}

function fieldsWith(changes: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    AUTH_ID: PERSON_TOKEN,
    AUTH_EXPIRES: '3600',
    REFRESH_ID: 'c28b6d61007c83a9006ed68d00000002',
    SERVER_ENDPOINT: 'http://127.0.0.1:1/rest/',
    APPLICATION_TOKEN,
    member_id: MEMBER_ID,
    status: 'L',
    PLACEMENT: 'SETTING_CONNECTOR',
    PLACEMENT_OPTIONS: JSON.stringify({ LINE: '107', ACTIVE_STATUS: 0, CONNECTOR: 'My_Messenger' }),
    ...changes,
  };
}

function open(changes: Readonly<Record<string, string>> = {}, query = QUERY): Promise<ShownPage> {
  return postForPage(new URL(`/connector${query}`, bench.url).href, fieldsWith(changes));
}

/** Presses the button of a page, as a browser would. */
function press({ html }: ShownPage, changes: Readonly<Record<string, string>> = {}): Promise<ShownPage> {
  const read = (pattern: RegExp): string => pattern.exec(html)?.[1]?.replaceAll('&#38;', '&') ?? '';
  const fields = {
    member_id: read(/name="member_id" value="([^"]*)"/),
    ticket: read(/name="ticket" value="([^"]*)"/),
    state: read(/name="state" value="([^"]*)"/),
    ...changes,
  };
  const action = html.includes('action="switch?') ? '/connector/switch' : '/connector';
  return postForPage(new URL(read(/action="([^"]*)"/), new URL(action, bench.url)).href, fields);
}

function stateOf({ html }: ShownPage): string | undefined {
  return /<dt>State<\/dt>\s*<dd>([^<]*)</.exec(html)?.[1];
}

function methods(): readonly string[] {
  return fake.calls.map(({ method }) => method);
}

describe('POST /connector', () => {
  it('shows an administrator the state of the connector on that line', async () => {
    const page = await open();
    expect(page.status).toBe(200);
    expect(stateOf(page)).toBe('Off');
    expect(page.html).toContain('My &#60;b&#62;messenger&#60;/b&#62;');
    expect(fake.calls).toEqual([
      { method: 'profile', params: {}, token: PERSON_TOKEN },
      { method: 'imconnector.status', params: { CONNECTOR: 'my_messenger', LINE: 107 }, token: PERSON_TOKEN },
    ]);
  });

  it.each([
    [{ STATUS: true, ERROR: false }, 'On'],
    [{ STATUS: 'Y', ERROR: 'N' }, 'On'],
    [{ STATUS: false, ERROR: true }, 'Bitrix24 reports an error'],
  ])('tells %j as %j', async (result, told) => {
    fake.replies.set('imconnector.status', { result });
    expect(stateOf(await open())).toBe(told);
  });

  it('shows no token and runs no script; the portal may frame it', async () => {
    const { html, headers } = await open();
    const secrets = Object.entries(fieldsWith()).filter(([name]) => /AUTH_ID|REFRESH_ID|TOKEN/.test(name));
    expect(secrets.filter(([, value]) => (html + bench.lines.join('')).includes(value))).toEqual([]);
    expect(headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'nonce-[^']+'; form-action 'self'; base-uri 'none'; frame-ancestors https:\/\/some-domain\.bitrix24\.com$/,
    );
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('asks nothing of anybody for a portal that is not installed, one of another token, or one that was replaced', async () => {
    const replaced = { token: 'replaced', receivedBeforeMs: Date.now() + 60_000 };
    const current = { token: APPLICATION_TOKEN, receivedBeforeMs: null };
    await portals.save(portalOf(MEMBER_ID, { applicationTokens: [replaced, current] }));
    await portals.save(portalOf('never-proven', { clientEndpoint: null }));
    const pages = [
      await open({ member_id: OTHER_PORTAL }),
      await open({ APPLICATION_TOKEN: 'forged' }),
      await open({ APPLICATION_TOKEN: 'replaced' }),
      await open({ member_id: 'never-proven' }),
    ];
    expect(pages.map(({ status }) => status)).toEqual([403, 403, 403, 403]);
    const texts = pages.map(({ html }) => html.replaceAll(/nonce="[^"]*"/g, ''));
    expect(new Set(texts).size).toBe(1);
    expect(fake.calls).toEqual([]);
  });

  it.each([{ ADMIN: false }, { ADMIN: 'true' }, {}, null])(
    'shows nothing to one whose profile is %j',
    async (profile) => {
      fake.replies.set('profile', { result: profile ?? { ID: '7' } });
      const { status, html } = await open();
      expect(status).toBe(403);
      expect(html).not.toContain('ticket');
      expect(methods()).toEqual(['profile']);
    },
  );

  it('refuses in JSON where that is asked for', async () => {
    const body = new URLSearchParams(fieldsWith({ APPLICATION_TOKEN: 'forged' }));
    const headers = { accept: 'application/json' };
    const refused = await fetch(new URL('/connector', bench.url), { method: 'POST', body, headers });
    expect([refused.status, await refused.json()]).toEqual([403, { error: 'not_recognised' }]);
  });

  it.each<[string, Record<string, string>]>([
    ['member_id', { member_id: HOSTILE }],
    ['AUTH_ID', { AUTH_ID: '' }],
    ['APPLICATION_TOKEN', { APPLICATION_TOKEN: '' }],
    ['PLACEMENT', { PLACEMENT: HOSTILE }],
    ['PLACEMENT_OPTIONS.CONNECTOR', { PLACEMENT_OPTIONS: JSON.stringify({ LINE: 1, CONNECTOR: HOSTILE }) }],
    ['PLACEMENT_OPTIONS.LINE', { PLACEMENT_OPTIONS: JSON.stringify({ LINE: HOSTILE, CONNECTOR: 'a' }) }],
    ['PLACEMENT_OPTIONS.LINE', { PLACEMENT_OPTIONS: JSON.stringify({ LINE: 0, CONNECTOR: 'a' }) }],
  ])('names %s where it is wrong, and quotes nothing', async (name, changes) => {
    const { status, html } = await open(changes);
    expect(status).toBe(400);
    expect([...html.matchAll(/<code>([^<]+)<\/code>/g)].map(([, field]) => field)).toEqual([name]);
    expect(html).not.toMatch(/alert|<script/);
  });

  it('escapes a hostile address where the form repeats it', async () => {
    const { status, html } = await open({}, `?DOMAIN=${encodeURIComponent(HOSTILE)}&PROTOCOL=1`);
    expect(status).toBe(200);
    expect(html).not.toMatch(/<script/);
  });

  it.each([
    [{ status: 401, error: 'expired_token' } as const, 'Your Bitrix24 refused'],
    [{ status: 503, error: 'QUERY_LIMIT_EXCEEDED' } as const, 'Your Bitrix24 did not answer'],
    ['hang' as const, 'Your Bitrix24 did not answer'],
  ])(
    'tells in words that the portal answered %j',
    async (reply, title) => {
      fake.replies.set('profile', reply);
      const { status, html } = await open();
      expect(status).toBe(502);
      expect(html).toContain(`<h1>${title}</h1>`);
    },
    10_000,
  );

  it('asks no host that is not on the list, whatever stands in the record', async () => {
    await portals.save(portalOf(MEMBER_ID, { clientEndpoint: fake.endpoint.replace('127.0.0.1', 'localhost') }));
    expect((await open()).status).toBe(502);
    expect(fake.calls).toEqual([]);
  });

  it('answers 503 as a page where Redis is down, while an installation is taken', async () => {
    await bench.remove();
    await parts.close();
    await startIngress('redis://127.0.0.1:1');
    const { status, html } = await open();
    expect(status).toBe(503);
    expect(html).toContain('The app cannot do this now');
    const installed = await postForPage(new URL(`/install${QUERY}`, bench.url).href, fieldsWith());
    expect(installed.status).toBe(200);
    expect(await bench.journalled()).toHaveLength(1);
  });
});

describe('the button of the page', () => {
  it('switches the connector on, gives it its name, and keeps the state in mind', async () => {
    await states.note(MEMBER_ID, { connector: 'my_messenger', line: 107, state: 'off', ts: 1 });
    const page = await press(await open());
    expect(page.status).toBe(200);
    expect(stateOf(page)).toBe('On');
    const place = { CONNECTOR: 'my_messenger', LINE: 107 };
    const data = { ID: 'my_messenger', NAME: 'My <b>messenger</b>', URL: 'https://app.example' };
    expect(fake.calls.slice(2)).toEqual([
      { method: 'imconnector.activate', params: { ...place, ACTIVE: '1' }, token: PERSON_TOKEN },
      { method: 'imconnector.connector.data.set', params: { ...place, DATA: data }, token: PERSON_TOKEN },
    ]);
    expect(await states.isOn(MEMBER_ID, 'my_messenger', 107)).toBe(true);
  });

  it('switches it off from the page that follows', async () => {
    const page = await press(await press(await open()));
    expect(stateOf(page)).toBe('Off');
    expect(fake.calls.at(-1)?.params).toMatchObject({ ACTIVE: '0' });
    expect(await states.isOn(MEMBER_ID, 'my_messenger', 107)).toBe(false);
    expect(page.headers.get('content-security-policy')).toMatch(
      /frame-ancestors https:\/\/some-domain\.bitrix24\.com$/,
    );
  });

  it('does nothing for another portal, though it is installed too', async () => {
    await portals.save(portalOf(OTHER_PORTAL));
    expect((await press(await open(), { member_id: OTHER_PORTAL })).status).toBe(403);
    expect(methods()).not.toContain('imconnector.activate');
  });

  it('does nothing after ten minutes', async () => {
    const page = await open();
    nowMs += 600_000;
    expect((await press(page)).status).toBe(403);
    expect(methods()).not.toContain('imconnector.activate');
  });

  it('does nothing with a ticket that was altered, or made up', async () => {
    const page = await open();
    const altered = /name="ticket" value="([^"]*)"/.exec(page.html)?.[1]?.slice(0, -2) ?? '';
    expect((await press(page, { ticket: `${altered}AA` })).status).toBe(403);
    expect((await press(page, { ticket: 's1.a.b.c.d' })).status).toBe(403);
    expect((await press(page, { ticket: HOSTILE })).status).toBe(400);
    expect(methods()).not.toContain('imconnector.activate');
  });

  it('does nothing when the app was uninstalled meanwhile', async () => {
    const page = await open();
    await portals.remove(MEMBER_ID, { receivedAtMs: Date.now(), deliveryId: 'd', isClean: false });
    expect((await press(page)).status).toBe(403);
    expect(methods()).not.toContain('imconnector.activate');
  });

  it('keeps no state in mind that the portal did not take', async () => {
    const page = await open();
    await states.note(MEMBER_ID, { connector: 'my_messenger', line: 107, state: 'off', ts: 1 });
    for (const reply of [{ result: false }, { status: 400, error: 'ERROR_ARGUMENT' }]) {
      fake.replies.set('imconnector.activate', reply);
      expect((await press(page)).status).toBe(502);
    }
    expect(await states.isOn(MEMBER_ID, 'my_messenger', 107)).toBe(false);
  });
});
