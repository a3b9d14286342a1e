import { z } from 'zod';
import type { Suspension } from '../../portals.js';
import type { JsonValue } from '../event.js';
import { jsonField } from '../json-field.js';

/** What a portal answered, or why it did not. */
export type RestReply =
  | { readonly kind: 'result'; readonly result: JsonValue; readonly operating: Operating | undefined }
  /** The portal has another address now, or so it says. */
  | { readonly kind: 'moved'; readonly location: string }
  /** The access token no longer holds. */
  | { readonly kind: 'renew'; readonly code: string }
  /** More calls than the portal takes. */
  | { readonly kind: 'limited'; readonly code: string }
  /** This method has used up its time; the others have not. */
  | { readonly kind: 'method-limited'; readonly code: string; readonly operating: Operating | undefined }
  | { readonly kind: 'later'; readonly code: string }
  | { readonly kind: 'suspend'; readonly code: string; readonly reason: SuspensionReason }
  | { readonly kind: 'never'; readonly code: string }
  | { readonly kind: 'unexpected'; readonly code: string }
  | { readonly kind: 'unreachable'; readonly code: string }
  | { readonly kind: 'host-refused'; readonly code: string };

export type SuspensionReason = Suspension['reason'];

/** The time that a method has used of what a portal allows in ten minutes (https://apidocs.bitrix24.com/limits.html). */
export interface Operating {
  readonly seconds: number;
  /** Until some of it is given back, by the portal's own clock. */
  readonly resetInMs: number;
}

type Verdict =
  'renew' | 'limited' | 'method-limited' | 'later' | 'never' | 'unexpected' | { readonly suspend: SuspensionReason };

/**
 * https://apidocs.bitrix24.com/error-codes.html, and what the pages of single methods and the official SDKs name beside it.
 * Compared in capitals, because the sender uses both.
 */
const VERDICTS: Readonly<Record<string, Verdict>> = {
  EXPIRED_TOKEN: 'renew',
  INVALID_TOKEN: 'renew',
  QUERY_LIMIT_EXCEEDED: 'limited',
  OPERATION_TIME_LIMIT: 'method-limited',
  INTERNAL_SERVER_ERROR: 'later',
  ERROR_UNEXPECTED_ANSWER: 'later',
  PAYMENT_REQUIRED: { suspend: 'payment' },
  PORTAL_DELETED: { suspend: 'deleted' },
  OVERLOAD_LIMIT: { suspend: 'overload' },
  // Waits for an administrator, who may say yes.
  METHOD_CONFIRM_WAITING: 'unexpected',
  ACCESS_DENIED: 'never',
  NO_AUTH_FOUND: 'never',
  INVALID_REQUEST: 'never',
  INVALID_CREDENTIALS: 'never',
  INSUFFICIENT_SCOPE: 'never',
  USER_ACCESS_ERROR: 'never',
  WRONG_AUTH_TYPE: 'never',
  METHOD_CONFIRM_DENIED: 'never',
  ERROR_ARGUMENT: 'never',
  ERROR_METHOD_NOT_FOUND: 'never',
  ERROR_BATCH_METHOD_NOT_ALLOWED: 'never',
  ERROR_BATCH_LENGTH_EXCEEDED: 'never',
  ERROR_MANIFEST_IS_NOT_AVAILABLE: 'never',
  IMCONNECTOR_NO_CORRECT_PROVIDER: 'never',
};

const PASSING_VERDICTS: ReadonlySet<Verdict> = new Set(['limited', 'method-limited', 'later']);
const PASSING_STATUSES: ReadonlySet<number> = new Set([408, 425, 429]);
const CODE_LENGTH_MAX = 100;
const OPERATING_WINDOW_MS = 600_000;

/** https://apidocs.bitrix24.com/api-reference/rest-v3.html gives an object as `error`; all else a string. */
const ERROR = z.union([z.string(), z.object({ code: z.string() }).transform(({ code }) => code)]);
const FAILURE = z.looseObject({ error: ERROR, error_description: z.string().catch('') });
const TIME = z.looseObject({
  time: z.looseObject({ operating: z.number(), operating_reset_at: z.number(), finish: z.number() }),
});

/** What an answer means. An `error` in its body counts whatever the status says. */
export function readRestAnswer(status: number, text: string): RestReply {
  const body = parseJson(text);
  const failure = FAILURE.safeParse(body).data;
  if (failure && failure.error !== '') return ofFailure(status, failure, operatingOf(body));
  const result = jsonField(body, 'result');
  if (status >= 200 && status < 300 && result !== undefined)
    return { kind: 'result', result, operating: operatingOf(body) };
  return { kind: isPassingStatus(status) ? 'later' : 'unexpected', code: `HTTP ${status}` };
}

/** The sender's own code, as far as it may stand in a log. */
export function toCode(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9_ .:-]/g, '').slice(0, CODE_LENGTH_MAX);
}

/** Why a portal that answers with this code is not called for a while; the OAuth server gives the same codes. */
export function suspensionOf(code: string): SuspensionReason | undefined {
  const verdict = knownVerdict(code);
  return typeof verdict === 'object' ? verdict.suspend : undefined;
}

/** Whether a code speaks of a state that passes by itself, and not of what was asked. */
export function isPassingCode(code: string): boolean {
  const verdict = knownVerdict(code);
  return verdict !== undefined && (PASSING_VERDICTS.has(verdict) || suspensionOf(code) === 'overload');
}

export function isPassingStatus(status: number): boolean {
  return status >= 500 || PASSING_STATUSES.has(status);
}

/** The `error` in a body, where there is one. */
export function errorOf(body: unknown): string | undefined {
  return FAILURE.safeParse(body).data?.error || undefined;
}

export function parseJson(text: string): JsonValue | undefined {
  try {
    return JSON.parse(text) as JsonValue;
  } catch {
    return undefined;
  }
}

function ofFailure(status: number, failure: z.infer<typeof FAILURE>, operating: Operating | undefined): RestReply {
  const code = toCode(failure.error);
  const verdict = verdictOf(status, code, failure.error_description);
  if (typeof verdict === 'object') return { kind: 'suspend', code, reason: verdict.suspend };
  return verdict === 'method-limited' ? { kind: verdict, code, operating } : { kind: verdict, code };
}

function verdictOf(status: number, code: string, description: string): Verdict {
  const name = code.toUpperCase();
  // Methods say it of one entity, too; only of the plan does it concern the whole portal.
  if (name === 'ACCESS_DENIED' && /\bcommercial plan/i.test(description)) return { suspend: 'access' };
  const known = knownVerdict(name);
  if (known) return known;
  if (isPassingStatus(status)) return 'later';
  return status >= 400 ? 'never' : 'unexpected';
}

function knownVerdict(code: string): Verdict | undefined {
  const name = code.toUpperCase();
  return Object.hasOwn(VERDICTS, name) ? VERDICTS[name] : undefined;
}

function operatingOf(body: unknown): Operating | undefined {
  const time = TIME.safeParse(body).data?.time;
  if (!time) return undefined;
  const resetInMs = (time.operating_reset_at - time.finish) * 1000;
  return { seconds: time.operating, resetInMs: Math.min(Math.max(0, resetInMs), OPERATING_WINDOW_MS) };
}
