import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe } from '@jest/globals';
import { chromium, type Browser, type BrowserContext, type Frame, type Page, type Route } from 'playwright-core';
import { escapeHtml, PORTAL_LIBRARY } from '../../src/api/pages/page-html.js';
import { findOnPath } from '../../src/cli/redis/run-command.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

async function findBrowser(): Promise<string | undefined> {
  for (const name of NAMES) {
    const found = await findOnPath(name, process.env.PATH ?? '');
    if (found !== undefined) return found;
  }
  process.stderr.write(`skipped: the pages in a browser (there is no ${NAMES.join(', ')} on the PATH)\n`);
  return undefined;
}

const binary = await findBrowser();

/** Tests that look at pages need a Chromium on the PATH. */
export const describeWithBrowser = binary === undefined ? describe.skip : describe;

export function launchBrowser(): Promise<Browser> {
  if (binary === undefined) throw new Error(`there is no ${NAMES.join(', ')} on the PATH`);
  // The sandbox refuses root, as whom containers run; nothing but our own pages is opened.
  return chromium.launch({ executablePath: binary, args: ['--no-sandbox'] });
}

/** What a portal posts to a page of the app, through the person's browser. */
export interface Opening {
  readonly url: string;
  readonly fields: readonly (readonly [string, string])[];
}

/** Lets the simulator post to a server that only listens, so that the browser posts exactly the same to `page`. */
export async function openingOf(page: string, post: (url: string) => Promise<unknown>): Promise<Opening> {
  let opening: Opening | undefined;
  const listen = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const fields = [...new URLSearchParams(await text(request))];
    opening = { url: page + new URL(request.url ?? '', page).search, fields };
    response.end();
  };
  const server = createServer((request, response) => void listen(request, response));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await post(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  server.closeAllConnections();
  server.close();
  if (!opening) throw new Error(`nothing was posted for ${page}`);
  return opening;
}

export function withField({ url, fields }: Opening, name: string, value: string): Opening {
  return { url, fields: fields.map(([key, kept]) => [key, key === name ? value : kept]) };
}

export interface WindowOptions {
  readonly widthPx?: number;
  /** Bitrix24's script cannot be loaded. */
  readonly isLibraryBlocked?: boolean;
  /** At the moment at which the page calls BX24.installFinish. */
  readonly onInstallFinish?: () => void;
}

const HEIGHT_PX = 720;

/** A window of the browser in which a portal shows pages of the app in a frame. Nothing in it gets beyond this machine. */
export class PortalWindow {
  /** Errors of the console and of scripts, violated policies, dialogs, and requests that went elsewhere. */
  readonly problems: string[] = [];
  /** What the page called of Bitrix24's script. */
  readonly libraryCalls: string[] = [];
  #portalPage = { url: '', html: '' };

  private constructor(
    readonly page: Page,
    private readonly context: BrowserContext,
    private readonly options: WindowOptions,
  ) {}

  static async open(browser: Browser, options: WindowOptions = {}): Promise<PortalWindow> {
    const { widthPx = 1000 } = options;
    const viewport = { width: widthPx, height: HEIGHT_PX };
    // What is answered here in the place of the network counts as a page of the internet, which may not reach this machine.
    const permissions = ['local-network-access'];
    const context = await browser.newContext({ viewport, permissions });
    const window = new PortalWindow(await context.newPage(), context, options);
    await window.#watch();
    return window;
  }

  /** At the portal's own address, as a policy of the page's sees it; resolves when the frame shows what was answered. */
  async show(opening: Opening, portalHost: string): Promise<Frame> {
    this.#portalPage = { url: `http://${portalHost}/`, html: portalPage(opening) };
    await this.page.goto(this.#portalPage.url);
    await this.page.evaluate('document.forms[0].submit()');
    await this.page.waitForFunction('window.isShown');
    return this.frame;
  }

  get frame(): Frame {
    const frame = this.page.frame({ name: 'app' });
    if (!frame) throw new Error('the portal shows no frame');
    return frame;
  }

  /** By how many pixels the page in the frame is wider than what is seen of it. */
  sidewaysPx(): Promise<number> {
    const root = 'document.documentElement';
    return this.frame.evaluate<number>(`${root}.scrollWidth - ${root}.clientWidth`);
  }

  /** The lowest contrast between a text of the page and what is behind it, by day and by night. */
  async lowestContrasts(): Promise<{ readonly light: number; readonly dark: number }> {
    return { light: await this.#lowestContrast('light'), dark: await this.#lowestContrast('dark') };
  }

  close(): Promise<void> {
    return this.context.close();
  }

  async #lowestContrast(colorScheme: 'light' | 'dark'): Promise<number> {
    await this.page.emulateMedia({ colorScheme });
    const isDark = await this.frame.evaluate<boolean>('matchMedia("(prefers-color-scheme: dark)").matches');
    if (isDark !== (colorScheme === 'dark')) throw new Error(`the frame is not shown ${colorScheme}`);
    const pairs = await this.frame.evaluate<readonly (readonly [string, string])[]>(COLOURS_OF_TEXTS);
    if (pairs.length === 0) throw new Error('the page shows no text');
    return Math.min(...pairs.map(([ink, paper]) => contrast(ink, paper)));
  }

  async #watch(): Promise<void> {
    const { page, context, problems } = this;
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('requestfailed', (request) => {
      const { hostname, pathname } = new URL(request.url());
      problems.push(`${hostname}${pathname}: ${request.failure()?.errorText ?? 'failed'}`);
    });
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('dialog', (dialog) => {
      problems.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    await context.exposeBinding('tellTest', (_source, call: string) => {
      this.libraryCalls.push(call);
      if (call === 'installFinish') this.options.onInstallFinish?.();
    });
    await context.route('**/*', (route) => this.#answer(route));
  }

  #answer(route: Route): Promise<void> {
    const url = new URL(route.request().url());
    if (url.href === this.#portalPage.url) return route.fulfill({ contentType: HTML, body: this.#portalPage.html });
    if (url.hostname === '127.0.0.1') return route.continue();
    if (url.href !== PORTAL_LIBRARY) this.problems.push(`a request went to ${url.href}`);
    else if (this.options.isLibraryBlocked !== true) return route.fulfill({ contentType: SCRIPT, body: LIBRARY });
    return route.abort();
  }
}

/** Of every text that is seen: its colour, and the first colour behind it. */
const COLOURS_OF_TEXTS = `[...document.body.querySelectorAll('*')]
  .filter((element) => element.checkVisibility() && [...element.childNodes].some(({ nodeType, data }) => nodeType === 3 && data.trim() !== ''))
  .map((element) => {
    let behind = element;
    while (behind.parentElement && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
    return [getComputedStyle(element).color, getComputedStyle(behind).backgroundColor];
  })`;

/** https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio */
function contrast(one: string, other: string): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].toSorted((a, b) => a - b);
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [...colour.matchAll(/[\d.]+/g)].map(([digits]) => {
    const share = Number(digits) / 255;
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';

/** In the place of Bitrix24's own, which is on the internet: calls back once the page is there, and tells what it was asked. */
const LIBRARY = `window.BX24 = {
  init(callback) { tellTest('init'); addEventListener('load', callback); },
  installFinish() { tellTest('installFinish'); },
};`;

/** As a portal does it: the frame has no address of its own, a form is posted into it. */
function portalPage({ url, fields }: Opening): string {
  const inputs = fields.map(
    ([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  );
  return `<!doctype html><html lang="en"><title>Portal</title><link rel="icon" href="data:,">
    <style>body { margin: 0 } iframe { display: block; width: 100%; height: 100vh; border: 0 }</style>
    <form method="post" target="app" action="${escapeHtml(url)}">${inputs.join('')}</form>
    <iframe name="app"></iframe>
    <script>document.querySelector('iframe').addEventListener('load', () => { window.isShown = true });</script></html>`;
}
