import type { Issue } from '../shared/bitrix24/event.js';
import { HTTP_ERRORS, type HttpErrorCode } from '../shared/errors.js';

/** A request that is answered with a code of the table, and with nothing that came in it. */
export class HttpError extends Error {
  readonly issues: readonly Issue[] | undefined;
  /** Of the event that is refused, where it was read. */
  readonly eventName: string | undefined;

  constructor(
    readonly code: HttpErrorCode,
    details: { readonly issues?: readonly Issue[]; readonly eventName?: string; readonly cause?: unknown } = {},
  ) {
    super(`${code}: ${HTTP_ERRORS[code].message}`, { cause: details.cause });
    this.name = 'HttpError';
    this.issues = details.issues;
    this.eventName = details.eventName;
  }
}

/** The sender was gone before the end of its request: there is nobody to answer, and nothing is kept. */
export class RequestCutError extends Error {
  constructor() {
    super('the request ended before its body did');
    this.name = 'RequestCutError';
  }
}
