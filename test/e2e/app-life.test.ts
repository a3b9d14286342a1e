import { afterEach, describe, expect, it } from '@jest/globals';
import type { SimulatedPortal } from '../../src/simulator/simulated-portal.js';
import { AppSystem, type AppSystemOptions } from '../support/app-system.js';
import { keysHolding } from '../support/redis-content.js';
import { waitUntil } from '../support/wait-until.js';

const ADD = 'ONIMCONNECTORMESSAGEADD';
const CONFIRM = 'imconnector.send.status.delivery';

let app: AppSystem;

async function start(options: AppSystemOptions = {}): Promise<SimulatedPortal> {
  app = await AppSystem.start({ ...options, env: { HANDLERS_DIR: 'test/fixtures/handlers', ...options.env } });
  await app.install();
  return app.portal;
}
afterEach(() => app.close());

/** Messages that were confirmed by REST with success, each as often as it was. */
function confirmed(portal = app.portal): number {
  return portal.calls.filter(({ method, status }) => method === CONFIRM && status === 200).length;
}

function confirms(count: number, portal = app.portal, timeoutMs = 60_000): Promise<void> {
  return waitUntil(`${count} messages are confirmed`, () => confirmed(portal) >= count, { timeoutMs });
}

describe('a portal whose app is updated with a new token', () => {
  it('loses no event, whichever token it is signed with and whenever it came', async () => {
    const portal = await start();
    const old = { application_token: portal.applicationToken };
    const url = app.system.url;
    // Signed with the old token and received before, but looked at only afterwards.
    app.system.worker?.signal('SIGSTOP');
    await portal.send(ADD, undefined, { url, auth: old });
    const updated = portal.update({ newToken: true });
    // Signed with the new token, and there before the update is proven.
    await portal.send(ADD, undefined, { url });
    await updated;
    app.system.worker?.signal('SIGCONT');
    await confirms(2);
    await app.isSetUp();
    await portal.send(ADD);
    await confirms(3);
    expect(app.forwarded('ONAPPUPDATE')).toBe(1);
    expect(confirmed()).toBe(3);
  });

  it('has mismatches of a moment ago looked at again', async () => {
    const portal = await start();
    const before = portal.applicationToken;
    portal.state.applicationToken = 'a-token-that-comes-before-its-update';
    await portal.send(ADD, undefined, { url: app.system.url });
    await waitUntil('it is rejected', () => (app.system.worker?.logged('delivery.rejected') ?? []).length === 1);
    portal.state.applicationToken = before;
    portal.state.handlers = [];
    portal.state.applicationToken = 'a-token-that-comes-before-its-update';
    await portal.send(
      'ONAPPUPDATE',
      { VERSION: '2.0.0', PREVIOUS_VERSION: '1.0.0', LANGUAGE_ID: 'en' },
      {
        url: app.system.url,
        tokens: portal.tokensOf({ admin: true }),
      },
    );
    await confirms(1);
    expect(confirmed()).toBe(1);
  });
});

describe('a portal that is renamed', () => {
  it('is followed to its new address, once, and called there from then on', async () => {
    const portal = await start();
    await portal.send(ADD);
    await confirms(1);
    await portal.rename();
    await portal.send(ADD);
    await confirms(2);
    await portal.send(ADD);
    await confirms(3);
    expect(confirmed()).toBe(3);
    expect(portal.redirected).toBe(1);
  });
});

describe('a portal that is no longer paid for', () => {
  it('keeps its events waiting until it is paid again, while others flow', async () => {
    const portal = await start({ portals: [{}, {}] });
    const [, other] = app.portals;
    await app.install(other);
    await portal.pay({ expired: true });
    await portal.send(ADD);
    await portal.send(ADD);
    await app.logs('effect.waits');
    await other?.send(ADD);
    await confirms(1, other);
    expect(confirmed()).toBe(0);
    await portal.pay({ expired: false });
    await confirms(2);
    expect(app.system.worker?.logged('effect.given_up')).toEqual([]);
  });
});

describe('a portal whose refresh token is dead', () => {
  it('is marked, its events wait, others flow, and a new installation lets them go on', async () => {
    const portal = await start({ portals: [{}, {}] });
    const [, other] = app.portals;
    await app.install(other);
    portal.expireAccessTokens();
    portal.killRefreshTokens();
    await portal.send(ADD);
    await app.logs('portal.needs_installation');
    await other?.send(ADD);
    await confirms(1, other);
    expect(confirmed()).toBe(0);
    // One that says the same in the same second would be the same event.
    const second = secondNow();
    await waitUntil('another second has begun', () => secondNow() > second);
    await portal.install({ eventsUrl: app.system.url });
    await confirms(1);
  });
});

function secondNow(): number {
  return Math.floor(Date.now() / 1000);
}

describe('a portal from which the app is removed', () => {
  it('has what came before cancelled, and nothing of it is left', async () => {
    const portal = await start({ env: { KEEP_COMPLETED_SECONDS: '0' } });
    await portal.send(ADD);
    await confirms(1);
    // It waits for the portal when the removal comes.
    portal.faults.refusal = 'PORTAL_DELETED';
    await portal.send(ADD);
    await app.logs('effect.waits');
    await portal.uninstall({ clean: true });
    await app.logs('portal.removed');
    await app.logs('effect.cancelled');
    await app.forwards('ONAPPUNINSTALL', 1);
    const left = () => keysHolding(app.system.redis.url, portal.memberId);
    await waitUntil('nothing is left of it', async () => (await left()).length === 0);
    expect(confirmed()).toBe(1);
  });

  it('lets a repeated removal end without a word, and an event that comes later wait in vain', async () => {
    const portal = await start({ env: { UNKNOWN_PORTAL_WAIT_SECONDS: '1' } });
    await portal.uninstall({ clean: false });
    await app.logs('portal.removed');
    await portal.send('ONAPPUNINSTALL', { LANGUAGE_ID: 'en', CLEAN: 0 }, { url: app.system.url, ts: 1_700_000_000 });
    await app.logs('delivery.cancelled');
    await portal.send(ADD, undefined, { url: app.system.url });
    await app.logs('delivery.failed');
    expect(confirmed()).toBe(0);
  });
});
