import { describe, expect, it } from '@jest/globals';
import { escapeHtml, html, renderPage } from '../../src/api/pages/page-html.js';
import { pageAnswer } from '../../src/api/pages/page-answer.js';
import { portalOriginOf } from '../../src/api/pages/portal-origin.js';

const HOSTILE = `"><script>alert('x')</script>&\``;
const PAGE = { title: 'A title', content: html`<p>Text</p>` };

function policyFor(query: string): string {
  return pageAnswer({ originalUrl: `/install${query}` }, 200, PAGE).headers?.['content-security-policy'] ?? '';
}

describe('html', () => {
  it('escapes every character by which text could leave its place', () => {
    expect(escapeHtml(HOSTILE)).not.toMatch(/[<>"'`]|&(?!#\d+;)/);
  });

  it('escapes what is put in, and not what is HTML already', () => {
    const items = [html`<i>${'<a>'}</i>`, html`<i>${2}</i>`];
    expect(html`<b title="${HOSTILE}">${items}</b>`.text).toBe(
      `<b title="${escapeHtml(HOSTILE)}"><i>&#60;a&#62;</i>\n<i>2</i></b>`,
    );
  });

  it('escapes the title of a page wherever it stands', () => {
    const page = renderPage({ ...PAGE, title: HOSTILE }, 'nonce');
    expect(page.split(escapeHtml(HOSTILE))).toHaveLength(3);
    expect(page).not.toContain('<script');
  });
});

describe('the policy of a page', () => {
  it.each([
    ['?DOMAIN=some-domain.bitrix24.de&PROTOCOL=1', 'https://some-domain.bitrix24.de'],
    ['?DOMAIN=some-domain.bitrix24.de', 'https://some-domain.bitrix24.de'],
    ['?DOMAIN=portal.example:8443&PROTOCOL=0', 'http://portal.example:8443'],
    ['?DOMAIN=portal.example:443&PROTOCOL=1', 'https://portal.example'],
    ['?DOMAIN=b%C3%BCro.example&PROTOCOL=1', 'https://xn--bro-hoa.example'],
  ])('lets the portal of %s frame it', (query, origin) => {
    expect(policyFor(query)).toMatch(new RegExp(`frame-ancestors ${origin}$`));
  });

  it.each([
    '',
    '?DOMAIN=',
    '?DOMAIN=a.example&PROTOCOL=2',
    '?DOMAIN=a.example%3B%20script-src%20*',
    '?DOMAIN=a.example%20*',
    '?DOMAIN=*.example',
    '?DOMAIN=user%40a.example',
    '?DOMAIN=a.example%2Frest',
    '?DOMAIN=a.example%0D%0AX-Header:%201',
    '?DOMAIN=a.example:99999',
    `?DOMAIN=${'a'.repeat(300)}`,
  ])('puts nothing of %s into it', (query) => {
    expect(portalOriginOf(new URLSearchParams(query))).toBeUndefined();
    expect(policyFor(query)).toMatch(/frame-ancestors https:$/);
  });

  it('lets no script run where the page has none, and another nonce in at each page', () => {
    expect(policyFor('')).toMatch(/^default-src 'none'; style-src 'nonce-[^']+'; form-action 'self'/);
    expect(policyFor('')).not.toBe(policyFor(''));
  });
});
