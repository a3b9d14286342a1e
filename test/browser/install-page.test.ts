import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { Browser } from 'playwright-core';
import { AppSystem } from '../support/app-system.js';
import {
  describeWithBrowser,
  launchBrowser,
  openingOf,
  PortalWindow,
  withField,
  type Opening,
  type WindowOptions,
} from '../support/browser.js';
import { waitUntil } from '../support/wait-until.js';

describeWithBrowser('the installation page in a browser', () => {
  let browser: Browser;
  let app: AppSystem;
  let opening: Opening;
  let window: PortalWindow;

  beforeAll(async () => {
    browser = await launchBrowser();
    app = await AppSystem.start();
  });
  afterAll(async () => {
    await browser.close();
    await app.close();
  });
  beforeEach(async () => {
    const page = app.system.url.replace('/events', '/install');
    opening = await openingOf(page, (url) => app.portal.install({ eventsUrl: app.system.url, page: url }));
  });
  afterEach(() => window.close());

  async function show(options: WindowOptions = {}, shown = opening): Promise<void> {
    window = await PortalWindow.open(browser, options);
    await window.show(shown, app.portal.host);
  }

  function toldText(): Promise<string> {
    return window.frame.locator('main').innerText();
  }

  async function restartApi(env: Readonly<Record<string, string>> = {}): Promise<void> {
    app.system.api?.signal('SIGKILL');
    await app.system.api?.ended();
    await app.system.startApi(env);
  }

  it('ends the installation once, in the frame of the portal', async () => {
    await show();
    await waitUntil('the page has ended the installation', () => window.libraryCalls.includes('installFinish'));
    // What it would call after its last script, it has called when the frame answers to this.
    await window.frame.evaluate('new Promise(requestAnimationFrame)');
    expect(window.libraryCalls).toEqual(['init', 'installFinish']);
    const told = await toldText();
    expect(told).toContain('the app opens by itself');
    expect(told).not.toContain('not finished');
    expect(window.problems).toEqual([]);
  });

  it('ends it only when it is kept: a kill of the ingress at that moment, with Redis down, loses nothing', async () => {
    await app.system.redis.stop();
    const onInstallFinish = (): void => {
      app.system.api?.signal('SIGKILL');
      app.portal.state.isInstalled = true;
    };
    await show({ onInstallFinish });
    await app.system.api?.ended();
    expect(app.portal.state.handlers).toEqual([]);
    await app.system.redis.start();
    await app.system.startApi();
    await app.isSetUp();
  });

  it('does not end it where it cannot be kept, and says that nothing was changed', async () => {
    await restartApi({ DISK_FREE_BYTES_MIN: String(Number.MAX_SAFE_INTEGER) });
    await show();
    expect(await toldText()).toContain('Nothing was changed');
    expect(window.libraryCalls).toEqual([]);
    await restartApi();
  });

  it('does not end it where a field is missing, and names the field', async () => {
    await show({}, withField(opening, 'REFRESH_ID', ''));
    expect(await window.frame.locator('code').allInnerTexts()).toEqual(['REFRESH_ID']);
    expect(window.libraryCalls).toEqual([]);
  });

  it("tells what to do where Bitrix24's script is blocked", async () => {
    await show({ isLibraryBlocked: true });
    const told = await toldText();
    expect(told).toContain('The installation is not finished.');
    expect(told).toContain('api.bitrix24.com');
    expect(told).toContain('install the app again');
    expect(told).not.toContain('opens by itself');
  });

  it('is not shown in the frame of another site', async () => {
    window = await PortalWindow.open(browser);
    await window.show(opening, '127.0.0.1:1');
    expect(window.problems.join('\n')).toContain('frame-ancestors');
    expect(window.libraryCalls).toEqual([]);
  });

  it.each([false, true])('can be read on a phone, light and dark (script blocked: %j)', async (isLibraryBlocked) => {
    await show({ isLibraryBlocked, widthPx: 360 });
    const { light, dark } = await window.lowestContrasts();
    expect(Math.min(light, dark)).toBeGreaterThan(4.5);
    expect(await window.sidewaysPx()).toBe(0);
  });
});
