import type { ErrorRequestHandler, Request } from 'express';
import { errorMessage } from '../shared/caught-error.js';
import { HTTP_ERRORS, type HttpErrorCode } from '../shared/errors.js';
import type { Logger } from '../shared/logger.js';
import { answerEarly, type Answer } from './http-answer.js';
import { HttpError, RequestCutError } from './http-error.js';
import type { IntakeMetrics } from './ingress-metrics.js';
import { StorageError } from './journal.js';

/** Storage is full or slow for seconds, not for hours. */
const RETRY_AFTER_SECONDS = 5;
const STORAGE_LOG_EVERY_MS = 1000;
const LOGGED_FIELDS_MAX = 10;

export interface RefuseRequestDeps {
  readonly logger: Logger;
  /** None where what is posted is no event. */
  readonly metrics?: Pick<IntakeMetrics, 'refused'>;
  /** As JSON where nothing else is said. */
  readonly answerOf?: (refusal: HttpError, request: Request) => Answer;
}

/**
 * Answers a request that failed, with the code of the table and nothing else: no stack, and nothing of what came. All failures
 * end here; the routes that show pages have one that answers as a page.
 */
export function createRefuseRequest({ logger, metrics, answerOf = asJson }: RefuseRequestDeps): ErrorRequestHandler {
  const logUnavailable = createUnavailableLog(logger);
  // Express knows an error handler by its four parameters.
  // oxlint-disable-next-line max-params -- see above
  return (error: unknown, request, response, _next) => {
    if (error instanceof RequestCutError || response.headersSent) {
      logger.info({ event: 'delivery.refused', code: 'request_cut' }, 'refused');
      return;
    }
    const refusal = toHttpError(error);
    metrics?.refused(refusal.code, refusal.eventName);
    if (refusal.code === 'storage_unavailable') logUnavailable(refusal.cause);
    else logger.info({ event: 'delivery.refused', code: refusal.code, ...detailsOf(refusal, request) }, 'refused');
    const refused = answerOf(refusal, request);
    answerEarly(request, response, { ...refused, headers: { ...refused.headers, ...headersOf(refusal.code) } });
  };
}

export function asJson({ code, issues }: HttpError): Answer {
  return { status: HTTP_ERRORS[code].status, body: { error: code, ...(issues && { issues }) } };
}

/** A fault of ours is no reason to tell the sender that its event is wrong: it is turned away as one that cannot be kept. */
function toHttpError(error: unknown): HttpError {
  if (error instanceof HttpError) return error;
  // Express's own, for an address that is not well-formed.
  if (error instanceof URIError) return new HttpError('not_found');
  return new HttpError('storage_unavailable', { cause: error });
}

function headersOf(code: HttpErrorCode): Readonly<Record<string, string>> {
  if (code === 'method_not_allowed') return { allow: 'POST' };
  if (code === 'too_many_requests') return { 'retry-after': '60' };
  return code === 'storage_unavailable' ? { 'retry-after': String(RETRY_AFTER_SECONDS) } : {};
}

/** Who sent it, and which fields are wrong: what a person needs to find a sender that speaks another form. Never a value. */
function detailsOf(
  { issues }: HttpError,
  { ip }: Request,
): { readonly ip?: string; readonly fields?: readonly string[] } {
  const fields = issues?.slice(0, LOGGED_FIELDS_MAX).map((issue) => issue.path);
  return { ...(ip !== undefined && { ip }), ...(fields && { fields }) };
}

/** Under load there would be thousands a second, all for the same reason: at most one line a second, with their number. */
function createUnavailableLog(logger: Logger): (error: unknown) => void {
  let count = 0;
  let timer: NodeJS.Timeout | undefined;
  const write = (reason: string): void => {
    const fields = { event: 'delivery.refused', code: 'storage_unavailable', reason, count };
    logger.warn(fields, 'refused, because the events cannot be kept now');
    count = 0;
  };
  return (error) => {
    const reason = errorMessage(error);
    if (!(error instanceof StorageError))
      logger.error({ event: 'delivery.failed', reason }, 'a request failed in a way that is not known');
    count += 1;
    if (timer) return;
    write(reason);
    timer = setTimeout(() => {
      timer = undefined;
      if (count > 0) write(reason);
    }, STORAGE_LOG_EVERY_MS);
    timer.unref();
  };
}
