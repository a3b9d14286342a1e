import { errorMessage } from '../../shared/caught-error.js';
import { JobError } from '../../shared/errors.js';
import { REASON_LENGTH_MAX, STACK_LENGTH_MAX, type RunFailure } from './host-messages.js';

/** An error may carry the one that caused it, and so on; a circle among them has an end here. */
const CAUSES_MAX = 5;

/** What a handler threw, as the worker is told. */
export function toFailure(thrown: unknown): RunFailure {
  try {
    return readFailure(thrown);
  } catch {
    // A getter or a proxy may throw at whoever looks at it.
    return { kind: 'error', reason: 'what it threw cannot be read' };
  }
}

function readFailure(thrown: unknown): RunFailure {
  for (const error of withCauses(thrown)) {
    const own = failureOf(error);
    if (own) return own;
  }
  const name = textIn(thrown, 'name');
  const reason = `${name === undefined ? '' : `${name}: `}${messages(thrown)}`.slice(0, REASON_LENGTH_MAX);
  const stack = textIn(thrown, 'stack')?.slice(0, STACK_LENGTH_MAX);
  return { kind: 'error', reason, ...(stack === undefined ? {} : { stack }) };
}

export function toJobFailure(error: JobError): RunFailure {
  const { code, detail, retryAfterMs, isSent } = error;
  return {
    kind: 'job',
    code,
    ...(detail === undefined ? {} : { detail: detail.slice(0, REASON_LENGTH_MAX) }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(isSent === undefined ? {} : { isSent }),
  };
}

export function toJobError(failure: RunFailure): JobError {
  switch (failure.kind) {
    case 'job':
      return new JobError(failure.code, failure.detail, {
        retryAfterMs: failure.retryAfterMs,
        isSent: failure.isSent,
      });
    case 'verdict':
      return failure.verdict === 'never'
        ? new JobError('HANDLER_NEVER', failure.reason)
        : new JobError('HANDLER_LATER', failure.reason, { retryAfterMs: failure.afterMs });
    case 'error':
      return new JobError('HANDLER_FAILED', failure.reason, { cause: failure.stack });
    default:
      return failure satisfies never;
  }
}

function failureOf(error: unknown): RunFailure | undefined {
  if (error instanceof JobError) return toJobFailure(error);
  // By its field and not by its class: a bundled handler has a copy of the class of its own.
  const verdict = fieldOf(error, 'handlerVerdict');
  if (verdict !== 'later' && verdict !== 'never') return undefined;
  const afterMs = fieldOf(error, 'afterMs');
  return {
    kind: 'verdict',
    verdict,
    reason: errorMessage(error).slice(0, REASON_LENGTH_MAX),
    ...(typeof afterMs === 'number' && afterMs >= 0 ? { afterMs: Math.min(afterMs, AFTER_MS_MAX) } : {}),
  };
}

const AFTER_MS_MAX = 86_400_000;

function withCauses(thrown: unknown): readonly unknown[] {
  const errors = [thrown];
  for (let cause = fieldOf(thrown, 'cause'); cause !== undefined && cause !== null && errors.length <= CAUSES_MAX;) {
    errors.push(cause);
    cause = fieldOf(cause, 'cause');
  }
  return errors;
}

/** Its own and those of its causes: `fetch failed` alone does not say what was not reached. */
function messages(thrown: unknown): string {
  const [own, ...causes] = withCauses(thrown);
  return causes.map(messageOf).reduce((all, text) => (all.includes(text) ? all : `${all}: ${text}`), messageOf(own));
}

/** Where each address of a name was tried, the error has no message, and one below it for each. */
function messageOf(error: unknown): string {
  const message = errorMessage(error);
  const parts = message === '' ? fieldOf(error, 'errors') : undefined;
  return Array.isArray(parts) ? parts.slice(0, CAUSES_MAX).map(errorMessage).join(', ') : message;
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

function textIn(value: unknown, name: string): string | undefined {
  const text = fieldOf(value, name);
  return typeof text === 'string' && text !== '' ? text : undefined;
}
