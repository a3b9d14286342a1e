import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals';
import type { Browser, Frame } from 'playwright-core';
import type { ConnectorLine } from '../../src/simulator/portal-state.js';
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

const CONNECTOR = 'my_messenger';
const LINE = 107;
const HOSTILE = `<img src=x onerror="alert('name')"><script>alert(1)</script> & "Co"`;
const LONG_CONNECTOR = 'long'.repeat(12);
const LONG_NAME = 'W'.repeat(100);

describeWithBrowser('the page of a connector in a browser', () => {
  let browser: Browser;
  let app: AppSystem;
  let window: PortalWindow;

  beforeAll(async () => {
    browser = await launchBrowser();
    const connectors = [
      { id: CONNECTOR, name: HOSTILE },
      { id: LONG_CONNECTOR, name: LONG_NAME },
    ];
    app = await AppSystem.start({ env: { B24_CONNECTORS: JSON.stringify(connectors) } });
    await app.install();
    await waitUntil('the connectors are registered', () => app.portal.state.connectors.has(LONG_CONNECTOR));
  });
  afterAll(async () => {
    await browser.close();
    await app.close();
  });
  afterEach(async () => {
    await window.close();
    app.portal.state.connectors.get(CONNECTOR)?.lines.clear();
  });

  function openingFor(connector = CONNECTOR, userIsAdmin = true): Promise<Opening> {
    const page = app.portal.state.connectors.get(connector)?.placementHandler ?? '';
    return openingOf(page, (url) => app.portal.openPlacement({ url, connector, line: LINE, userIsAdmin }));
  }

  async function show(opening: Opening, options: WindowOptions = {}): Promise<Frame> {
    window = await PortalWindow.open(browser, options);
    return window.show(opening, app.portal.host);
  }

  function line(): ConnectorLine | undefined {
    return app.portal.state.connectors.get(CONNECTOR)?.lines.get(LINE);
  }

  async function press(name: string, next: string): Promise<void> {
    await window.frame.getByRole('button', { name, exact: true }).click();
    await window.frame.getByRole('button', { name: next, exact: true }).waitFor();
  }

  function stateShown(): Promise<string> {
    return window.frame.locator('dt:text-is("State") + dd').innerText();
  }

  it('shows the state of the line, switches it on with its data, and off again', async () => {
    await show(await openingFor());
    expect(await stateShown()).toBe('Off');
    await press('Switch on', 'Switch off');
    expect(await stateShown()).toBe('On');
    const url = new URL(app.system.url).origin;
    expect(line()).toEqual({ isActive: true, data: { ID: CONNECTOR, NAME: HOSTILE, URL: url } });
    await press('Switch off', 'Switch on');
    expect(await stateShown()).toBe('Off');
    expect(line()?.isActive).toBe(false);
    expect(window.problems).toEqual([]);
  });

  it('shows a line that is on as on', async () => {
    app.portal.switchLine(CONNECTOR, LINE);
    await show(await openingFor());
    expect(await stateShown()).toBe('On');
  });

  it('shows an employee a refusal and no button', async () => {
    const frame = await show(await openingFor(CONNECTOR, false));
    expect(await frame.locator('main').innerText()).toContain('Only an administrator can do this');
    expect(await frame.getByRole('button').count()).toBe(0);
  });

  it('shows HTML in the name of a connector as text, before and after the button', async () => {
    const frame = await show(await openingFor());
    const titles = async () => [await frame.locator('h1').innerText(), await frame.title()];
    expect(await titles()).toEqual([HOSTILE, HOSTILE]);
    await press('Switch on', 'Switch off');
    expect(await titles()).toEqual([HOSTILE, HOSTILE]);
    expect(await frame.locator('img, script').count()).toBe(0);
    expect(window.problems).toEqual([]);
  });

  it('shows nothing of hostile fields, and names the field', async () => {
    const options = JSON.stringify({ LINE, CONNECTOR: HOSTILE });
    const frame = await show(withField(await openingFor(), 'PLACEMENT_OPTIONS', options));
    expect(await frame.locator('code').allInnerTexts()).toEqual(['PLACEMENT_OPTIONS.CONNECTOR']);
    expect(await frame.locator('img, script').count()).toBe(0);
    expect(window.problems).toEqual([expect.stringContaining('400 (Bad Request)')]);
  });

  it('works by keyboard alone, and shows where the focus is', async () => {
    const frame = await show(await openingFor());
    const button = frame.getByRole('button');
    const tabTo = async (name: string) => {
      await button.and(frame.getByText(name, { exact: true })).waitFor();
      await window.page.keyboard.press('Tab');
      return frame.evaluate<string>('getComputedStyle(document.querySelector("button:focus-visible")).outlineStyle');
    };
    expect(await tabTo('Switch on')).toBe('solid');
    await window.page.keyboard.press('Enter');
    expect(await tabTo('Switch off')).toBe('solid');
    expect(line()?.isActive).toBe(true);
    await window.page.keyboard.press('Space');
    await waitUntil('the line is off', () => line()?.isActive === false);
  });

  it('is not shown in the frame of another site', async () => {
    window = await PortalWindow.open(browser);
    await window.show(await openingFor(), '127.0.0.1:1');
    expect(window.problems.join('\n')).toContain('frame-ancestors');
  });

  it('can be read on a phone, on and off, light and dark', async () => {
    await show(await openingFor(), { widthPx: 360 });
    const off = await window.lowestContrasts();
    expect(await window.sidewaysPx()).toBe(0);
    await press('Switch on', 'Switch off');
    const on = await window.lowestContrasts();
    expect(await window.sidewaysPx()).toBe(0);
    expect(Math.min(off.light, off.dark, on.light, on.dark)).toBeGreaterThan(4.5);
  });

  it('breaks a name that is wider than a phone', async () => {
    const frame = await show(await openingFor(LONG_CONNECTOR), { widthPx: 360 });
    expect(await frame.locator('h1').innerText()).toBe(LONG_NAME);
    expect(await window.sidewaysPx()).toBe(0);
  });
});
