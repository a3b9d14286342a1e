/**
 * Every code that a user meets, in one table: as the answer to a POST, or at the beginning of a failed job's reason.
 * `docs/failures.md` explains each; a test holds that page to this table, both ways.
 */
export const HTTP_ERRORS = {
  invalid_body: { status: 400, message: 'the body cannot be read' },
  invalid_event: { status: 400, message: 'the body is not an event' },
  signature_invalid: { status: 401, message: 'the signature of the message is not one of INCOMING_SECRET' },
  sender_not_allowed: { status: 403, message: 'the sender is not on the list SENDER_IPS' },
  not_recognised: { status: 403, message: 'the portal and its application token are not those of an installation' },
  not_admin: { status: 403, message: 'the person is not an administrator of the portal' },
  ticket_invalid: { status: 403, message: 'the page was opened more than ten minutes ago, or is not of this portal' },
  not_found: { status: 404, message: 'there is nothing at this address' },
  method_not_allowed: { status: 405, message: 'events are sent by POST' },
  request_timeout: { status: 408, message: 'the request did not come in time' },
  body_too_large: { status: 413, message: 'the body is larger than BODY_BYTES_MAX' },
  unsupported_content_type: {
    status: 415,
    message: 'the body must be application/x-www-form-urlencoded or application/json',
  },
  unsupported_charset: { status: 415, message: 'the body must be UTF-8' },
  unsupported_encoding: { status: 415, message: 'the body must not be compressed' },
  too_many_requests: { status: 429, message: 'too many installations come from this address' },
  headers_too_large: { status: 431, message: 'the headers are larger than 16 KiB' },
  portal_refused: { status: 502, message: 'the portal does not do what the page needs' },
  portal_unreachable: { status: 502, message: 'the portal does not answer' },
  not_configured: { status: 503, message: 'B24_CLIENT_ID and B24_CLIENT_SECRET are not set: there is no app' },
  not_available: { status: 503, message: 'Redis is not reached, or has no record that this release can read' },
  storage_unavailable: { status: 503, message: 'the event cannot be kept now' },
} as const;

export type HttpErrorCode = keyof typeof HTTP_ERRORS;

/**
 * What a failure means for the next attempt. *later*: it will heal by itself. *never*: no attempt can succeed. *unknown*: it may
 * be either, so it is tried again while attempts are left.
 */
export type Verdict = 'later' | 'never' | 'unknown';

export const JOB_ERRORS = {
  TOKEN_MISMATCH: { verdict: 'never', message: 'the application token is not the one of this portal' },
  PORTAL_UNKNOWN: { verdict: 'never', message: 'the portal is not installed and has no entry in APPLICATION_TOKENS' },
  PROOF_REFUSED: { verdict: 'never', message: 'Bitrix24 does not confirm this installation' },
  PROOF_UNAVAILABLE: { verdict: 'later', message: 'the installation cannot be proven now' },
  DATA_INVALID: { verdict: 'never', message: 'the data of the event is not what its schema says' },
  SEAL_BROKEN: { verdict: 'never', message: 'the sealed part was altered' },
  SEAL_KEY_UNKNOWN: { verdict: 'later', message: 'the sealed part was made with a key that this worker does not have' },
  JOB_VERSION_UNKNOWN: { verdict: 'later', message: 'the job was written by a newer release' },
  EFFECT_REFUSED: { verdict: 'never', message: 'the receiver will never take this event' },
  EFFECT_UNAVAILABLE: { verdict: 'later', message: 'the receiver cannot take the event now' },
  EFFECT_UNREACHABLE: { verdict: 'later', message: 'the receiver was not reached' },
  EFFECT_TIMEOUT: { verdict: 'later', message: 'the attempt was not done within EFFECT_TIMEOUT_MS' },
  EFFECT_REDIRECTED: { verdict: 'unknown', message: 'the receiver redirects, which is not followed' },
  EFFECT_UNEXPECTED: { verdict: 'unknown', message: 'the attempt failed in a way that is not known' },
  EFFECT_EXPIRED: { verdict: 'never', message: 'the event is older than EFFECT_AGE_SECONDS_MAX' },
  EFFECT_CRASHED: { verdict: 'never', message: 'its process died with it several times' },
  EFFECT_NOT_CONFIGURED: { verdict: 'never', message: 'the effect that was to run is no longer configured' },
  PORTAL_SUSPENDED: { verdict: 'later', message: 'the portal cannot be called at present' },
  PORTAL_NOT_INSTALLED: { verdict: 'unknown', message: 'there are no OAuth tokens of this portal' },
  REST_HOST_REFUSED: { verdict: 'never', message: 'the address is not one that REST calls may reach' },
  REST_BUDGET: { verdict: 'later', message: 'the REST budget of the portal is used up for now' },
  REST_UNREACHABLE: { verdict: 'later', message: 'the portal or the OAuth server was not reached' },
  REST_UNAVAILABLE: { verdict: 'later', message: 'the portal or the OAuth server cannot answer now' },
  REST_REFUSED: { verdict: 'never', message: 'the portal will never take this call' },
  REST_UNEXPECTED: { verdict: 'unknown', message: 'the portal answered in a way that is not known' },
  HANDLER_LATER: { verdict: 'later', message: 'the handler asks to be run again later' },
  HANDLER_NEVER: { verdict: 'never', message: 'the handler says that no attempt can succeed' },
  HANDLER_FAILED: { verdict: 'unknown', message: 'the handler threw an error' },
  HANDLER_CRASHED: { verdict: 'unknown', message: 'the handler ended its process, or kept it from answering' },
  HANDLER_INTERRUPTED: { verdict: 'later', message: 'another handler ended the process in which this one ran' },
  HANDLER_UNAVAILABLE: { verdict: 'later', message: 'there is no process for the handler at present' },
  HANDLER_SET_ASIDE: { verdict: 'later', message: 'the handler ended its process again and again, and is set aside' },
  ONCE_UNKNOWN: {
    verdict: 'never',
    message: 'a step that must not run twice was begun, and how it ended is not known',
  },
  ONCE_TOO_LARGE: { verdict: 'never', message: 'the steps of this event are larger or more than can be kept' },
} as const satisfies Record<string, { verdict: Verdict; message: string }>;

export type JobErrorCode = keyof typeof JOB_ERRORS;

/** A failure with a code of the table. Its message becomes the reason of a failed job: `CODE: what failed`. */
export class JobError extends Error {
  readonly retryAfterMs: number | undefined;
  /** Of a call: false where it is certain that nothing of it reached the other side; undefined where nobody can tell. */
  readonly isSent: boolean | undefined;

  constructor(
    readonly code: JobErrorCode,
    readonly detail?: string,
    options: { cause?: unknown; retryAfterMs?: number | undefined; isSent?: boolean | undefined } = {},
  ) {
    super(`${code}: ${JOB_ERRORS[code].message}${detail ? ` (${detail})` : ''}`, { cause: options.cause });
    this.name = 'JobError';
    this.retryAfterMs = options.retryAfterMs;
    this.isSent = options.isSent;
  }

  get verdict(): Verdict {
    return JOB_ERRORS[this.code].verdict;
  }
}

/** The code at the beginning of a failed job's reason. */
export function codeOfReason(reason: string): string {
  return reason.split(':', 1)[0] ?? reason;
}
