import type { HttpErrorCode } from '../../shared/errors.js';
import { HttpError } from '../http-error.js';
import { html, type Page } from './page-html.js';

/** Why the page of a connector does not do what it is for, in words for the person who looks at it. */
const WORDS = {
  // One answer for both, so that nobody learns from it where the app is installed.
  not_recognised: {
    title: 'Your Bitrix24 was not recognised',
    text: 'The app is not installed there yet, or was installed anew since. Wait a minute, close this page and open it again. If that does not help, install the app again.',
  },
  not_admin: {
    title: 'Only an administrator can do this',
    text: 'Your Bitrix24 says that you are not one. Ask an administrator to open this page.',
  },
  ticket_invalid: {
    title: 'This page is too old',
    text: 'Nothing was changed. Close the page and open it again from your Bitrix24.',
  },
  not_available: {
    title: 'The app cannot do this now',
    text: 'Close this page and open it again in a minute. If that does not help, tell whoever runs the app.',
  },
  portal_unreachable: {
    title: 'Your Bitrix24 did not answer',
    text: 'Close this page and open it again in a minute.',
  },
  portal_refused: {
    title: 'Your Bitrix24 refused',
    text: 'It did not do what the app asked of it. Close this page and open it again; that also renews your access. If that does not help, tell whoever runs the app.',
  },
} as const satisfies Partial<Record<HttpErrorCode, { title: string; text: string }>>;

export type ConnectorRefusalCode = keyof typeof WORDS;

/** Ends a request to the page of a connector; `reason` is for the log alone. */
export class ConnectorRefusal extends HttpError {
  declare readonly code: ConnectorRefusalCode;

  constructor(
    code: ConnectorRefusalCode,
    readonly reason?: string,
  ) {
    super(code);
    this.name = 'ConnectorRefusal';
  }

  get page(): Page {
    const { title, text } = WORDS[this.code];
    return { title, content: html`<p>${text}</p>` };
  }
}
