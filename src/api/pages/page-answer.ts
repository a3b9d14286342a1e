import { randomBytes } from 'node:crypto';
import type { Request } from 'express';
import { HTTP_ERRORS } from '../../shared/errors.js';
import type { Answer } from '../http-answer.js';
import type { HttpError } from '../http-error.js';
import { PORTAL_LIBRARY, html, renderPage, type Html, type Page } from './page-html.js';
import { portalOriginOf, queryOf } from './portal-origin.js';
import { asJson } from '../refuse-request.js';

/** A page as an answer; it may be framed by the portal that asked for it, and runs nothing but what it was given here. */
export function pageAnswer(request: Pick<Request, 'originalUrl'>, status: number, page: Page): Answer {
  const nonce = randomBytes(16).toString('base64');
  return { status, html: renderPage(page, nonce), headers: headersOf(request, page, nonce) };
}

/** As a page, or as JSON for a program that asks for that. */
export function refusalAnswer(refusal: HttpError, request: Request): Answer {
  if (prefersJson(request)) return asJson(refusal);
  return pageAnswer(request, HTTP_ERRORS[refusal.code].status, refusalPage(refusal));
}

export function prefersJson(request: Request): boolean {
  return request.accepts(['html', 'json']) === 'json';
}

function headersOf(request: Pick<Request, 'originalUrl'>, { script }: Page, nonce: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    `style-src 'nonce-${nonce}'`,
    ...(script ? [`script-src 'nonce-${nonce}' ${PORTAL_LIBRARY}`] : []),
    "form-action 'self'",
    "base-uri 'none'",
    // Portals are on many zones and on hosts of their own, so where the address does not tell which, any may.
    `frame-ancestors ${portalOriginOf(queryOf(request)) ?? 'https:'}`,
  ];
  return {
    'content-security-policy': policy.join('; '),
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
  };
}

function refusalPage({ code, issues }: HttpError): Page {
  switch (code) {
    case 'method_not_allowed':
      return {
        title: 'This page is opened by Bitrix24',
        content: html`<p>It is a part of an app, and works inside your Bitrix24 alone. Open the app there.</p>`,
      };
    case 'not_configured':
      return {
        title: 'The app is not configured',
        content: html`<p>
          It cannot be installed yet: whoever runs it must set <code>B24_CLIENT_ID</code> and
          <code>B24_CLIENT_SECRET</code>, which Bitrix24 shows where the app is registered.
        </p>`,
      };
    case 'storage_unavailable':
      return {
        title: 'The app cannot take this now',
        content: html`<p>
          Nothing was changed. Reload this page in a minute. If that does not help, tell whoever runs the app.
        </p>`,
      };
    case 'invalid_event':
      return {
        title: 'What Bitrix24 sent is not complete',
        content: html`<p>Close this page and open it again from your Bitrix24. Missing or wrong:</p>
          ${issueList(issues ?? [])}`,
      };
    default:
      return {
        title: 'This request cannot be read',
        content: html`<p>The reason: ${HTTP_ERRORS[code].message}. Open the page again from your Bitrix24.</p>`,
      };
  }
}

function issueList(issues: NonNullable<HttpError['issues']>): Html {
  const items = issues.map(({ path, message }) => html`<li><code>${path}</code>: ${message}</li>`);
  return html`<ul>
    ${items}
  </ul>`;
}
