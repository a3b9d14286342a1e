import { describe, expect, it } from '@jest/globals';
import { StorageError } from '../../src/api/journal.js';
import { openSecrets } from '../../src/shared/delivery-seal.js';
import { APPLICATION_TOKEN, MEMBER_ID } from '../support/deliveries.js';
import { FORM, post, postForPage, useIngress, type IngressBenchOptions } from '../support/ingress-bench.js';
import { waitUntil } from '../support/wait-until.js';

const APP = { B24_CLIENT_ID: 'local.573ad8a0346747.09223434', B24_CLIENT_SECRET: 'client-secret' };
const QUERY = '?DOMAIN=some-domain.bitrix24.com&PROTOCOL=1&LANG=de&APP_SID=6a5b4c3d2e1f';
const FIELDS = {
  AUTH_ID: '5680b91b0000844000785e072978228d24bd2f',
  AUTH_EXPIRES: '3600',
  REFRESH_ID: '4s386p3q0tr8dy89xvmt96234v3dljg8',
  SERVER_ENDPOINT: 'https://oauth.bitrix.info/rest/',
  APPLICATION_TOKEN,
  APPLICATION_SCOPE: 'imconnector,imopenlines',
  member_id: MEMBER_ID,
  status: 'L',
  PLACEMENT: 'DEFAULT',
};
const TOKENS = [FIELDS.AUTH_ID, FIELDS.REFRESH_ID, APPLICATION_TOKEN];
const HOSTILE = `"><script>alert('x')</script>`;

const ingress = useIngress();

/** Answers the address of the page. */
async function startIngress(env: NodeJS.ProcessEnv = APP, deps: IngressBenchOptions['deps'] = {}): Promise<string> {
  return new URL('/install', await ingress.start(env, deps)).href;
}

describe('POST /install', () => {
  it('keeps the installation as the event that tells the same', async () => {
    const before = Math.floor(Date.now() / 1000);
    await postForPage((await startIngress()) + QUERY, FIELDS);
    const [delivery] = await ingress.bench.journalled();
    expect(delivery).toMatchObject({
      name: 'ONAPPINSTALL',
      handlerId: null,
      body: { state: 'typed', payload: { installed: true, language_id: 'de' } },
      auth: {
        memberId: MEMBER_ID,
        domain: 'some-domain.bitrix24.com',
        clientEndpoint: 'https://some-domain.bitrix24.com/rest/',
        serverEndpoint: 'https://oauth.bitrix.info/rest/',
        scope: 'imconnector,imopenlines',
        status: 'L',
        expiresIn: 3600,
      },
    });
    expect(delivery?.ts).toBeGreaterThanOrEqual(before);
    expect(delivery && openSecrets(ingress.bench.sealer, delivery).auth).toMatchObject({
      access_token: FIELDS.AUTH_ID,
      refresh_token: FIELDS.REFRESH_ID,
      application_token: APPLICATION_TOKEN,
    });
  });

  it('shows a page that ends the installation, framed by the portal alone and running nothing else', async () => {
    const { status, html, headers } = await postForPage((await startIngress()) + QUERY, FIELDS);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    const nonce = /<script nonce="([^"]+)">/.exec(html)?.[1];
    expect(headers.get('content-security-policy')?.split('; ')).toEqual([
      "default-src 'none'",
      `style-src 'nonce-${nonce}'`,
      `script-src 'nonce-${nonce}' https://api.bitrix24.com/api/v1/`,
      "form-action 'self'",
      "base-uri 'none'",
      'frame-ancestors https://some-domain.bitrix24.com',
    ]);
    expect(html).toContain('<script src="https://api.bitrix24.com/api/v1/"></script>');
    expect(html).toMatch(/BX24\.init\(function \(\) \{ BX24\.installFinish\(\); \}\)/);
  });

  it('answers only after the record is on disk', async () => {
    let release = (): void => undefined;
    const isReleased = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isAppending = false;
    const journals = {
      append: () => {
        isAppending = true;
        return isReleased;
      },
    };
    const url = await startIngress(APP, { journals });
    let isAnswered = false;
    const shown = postForPage(url + QUERY, FIELDS).finally(() => {
      isAnswered = true;
    });
    await waitUntil('the record is being written', () => isAppending);
    // Time enough for an answer: another request is answered in it.
    await fetch(new URL('/', url));
    expect(isAnswered).toBe(false);
    release();
    expect((await shown).status).toBe(200);
  });

  it('shows no token, and writes none into the log or in the open on disk', async () => {
    const { html } = await postForPage((await startIngress()) + QUERY, FIELDS);
    const told = html + ingress.bench.lines.join('') + JSON.stringify(await ingress.bench.journalled());
    expect(TOKENS.filter((token) => told.includes(token))).toEqual([]);
  });

  it('answers a program that asks for JSON in JSON', async () => {
    const answered = await post((await startIngress()) + QUERY, new URLSearchParams(FIELDS).toString(), {
      'content-type': FORM,
      accept: 'application/json',
    });
    expect(answered).toMatchObject({
      status: 200,
      body: { status: 'accepted', id: (await ingress.bench.journalled())[0]?.id },
    });
  });

  it('takes what comes from anywhere, whoever may post events', async () => {
    const url = await startIngress({ ...APP, SENDER_IPS: '203.0.113.7' });
    expect((await postForPage(url + QUERY, FIELDS)).status).toBe(200);
  });

  it.each(['AUTH_ID', 'REFRESH_ID', 'APPLICATION_TOKEN', 'member_id'])(
    'names %s where it is missing, and keeps nothing',
    async (name) => {
      const { status, html } = await postForPage((await startIngress()) + QUERY, { ...FIELDS, [name]: '' });
      expect(status).toBe(400);
      expect([...html.matchAll(/<code>([^<]+)<\/code>/g)].map(([, field]) => field)).toEqual([name]);
      expect(await ingress.bench.journalled()).toEqual([]);
    },
  );

  it.each(['', '?DOMAIN=a%20b&PROTOCOL=1', '?DOMAIN=a.example&PROTOCOL=9'])(
    'names DOMAIN and PROTOCOL where the address has %j',
    async (query) => {
      const { status, html } = await postForPage((await startIngress()) + query, FIELDS);
      expect(status).toBe(400);
      expect(html).toContain('<code>DOMAIN, PROTOCOL</code>');
    },
  );

  it.each([...Object.keys(FIELDS), 'DOMAIN', 'PROTOCOL', 'LANG', 'APP_SID'])(
    'puts nothing of a hostile %s into the page or its headers',
    async (name) => {
      const query = new URLSearchParams(QUERY);
      if (query.has(name)) query.set(name, HOSTILE);
      const fields = query.has(name) ? FIELDS : { ...FIELDS, [name]: HOSTILE };
      const { html, headers } = await postForPage(`${await startIngress()}?${query.toString()}`, fields);
      expect(html + JSON.stringify([...headers])).not.toMatch(/alert|<script>/);
    },
  );

  it.each(['/install', '/connector', '/connector/switch'])(
    'says at %s which variables are missing where there is no app, and keeps nothing',
    async (path) => {
      const url = new URL(path + QUERY, await startIngress({})).href;
      const { status, html } = await postForPage(url, FIELDS);
      expect(status).toBe(503);
      expect(html).toContain('B24_CLIENT_ID');
      expect(await ingress.bench.journalled()).toEqual([]);
    },
  );

  it('takes thirty a minute from one address, and nothing of what comes beyond', async () => {
    const url = (await startIngress()) + QUERY;
    const answers = await Promise.all(Array.from({ length: 32 }, () => postForPage(url, FIELDS)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(30);
    expect(answers.filter(({ status }) => status === 429)).toHaveLength(2);
    const kept = await ingress.bench.journalled();
    expect(kept).toHaveLength(30);
    expect(kept.every(({ source }) => source === 'page')).toBe(true);
  });

  it('answers 503 as a page, and when to try again, where it cannot be kept', async () => {
    const journals = { append: () => Promise.reject(new StorageError('the disk is full')) };
    const { status, html, headers } = await postForPage((await startIngress(APP, { journals })) + QUERY, FIELDS);
    expect(status).toBe(503);
    expect(headers.get('retry-after')).toBe('5');
    expect(html).toContain('Nothing was changed');
  });

  it('answers 405 with a sentence to whoever looks at it outside a portal', async () => {
    const response = await fetch(await startIngress());
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
    expect(await response.text()).toContain('inside your Bitrix24');
  });

  it.each([
    { what: 'a body beyond the bound', body: `a=${'b'.repeat(70_000)}`, type: FORM, status: 413 },
    { what: 'a body of another kind', body: '{}', type: 'text/plain', status: 415 },
    { what: 'nesting beyond the bound', body: `a${'[b]'.repeat(17)}=1`, type: FORM, status: 400 },
  ])('answers $what as a page', async ({ body, type, status }) => {
    const url = await startIngress({ ...APP, BODY_BYTES_MAX: '65536' });
    const response = await fetch(url + QUERY, { method: 'POST', body, headers: { 'content-type': type } });
    expect(response.status).toBe(status);
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8');
  });
});
