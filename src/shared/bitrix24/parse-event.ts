import { isMap } from '../is-map.js';
import type { Secrets } from '../delivery.js';
import { isKnownEventName, type Issue, type JsonValue, type OpenAuth, type ParsedBody } from './event.js';
import { namedSecretsOf, splitAuth } from './open-auth.js';
import { parsePayload } from './payload-schemas.js';
import { wholeNumberOf } from './schema-parts.js';
import { redactData } from './redact-secrets.js';
import { holdsSecret, withSecretsOfData } from './secret-values.js';
import { fingerprintOf, wireFormOf } from './wire-form.js';

/** One event as it came, in its parts; `secrets` is the only part that holds any. */
export interface ParsedEnvelope {
  /** In upper case. */
  readonly name: string;
  readonly handlerId: number | null;
  /** Whole seconds since 1970. */
  readonly ts: number;
  readonly auth: OpenAuth;
  readonly body: ParsedBody;
  readonly secrets: Secrets;
  /** Of all of `data`, secrets included; the same for a form and a JSON body. */
  readonly fingerprint: string;
}

export type EnvelopeResult =
  { readonly ok: true; readonly envelope: ParsedEnvelope } | { readonly ok: false; readonly issues: readonly Issue[] };

/**
 * A decoded body to an event. Types are checked, not presence: `ts=1&ts=2` is a list, and an attacker sends what he
 * likes. Not ok only if the envelope is wrong, all of it told at once; data that does not fit is quarantined.
 */
export function parseEnvelope(decoded: unknown): EnvelopeResult {
  const fields = fieldsIn(decoded);
  const sentAuth = fieldsIn(fields['auth']);
  const auth = wireFieldsOf(sentAuth);
  const secrets = namedSecretsOf(auth);
  const ts = tsOf(fields['ts']);
  const name = matching(fields['event'], EVENT_NAME)?.toUpperCase() ?? null;
  const memberId = matching(sentAuth['member_id'], MEMBER_ID);
  const issues = [
    ...(name !== null && !holdsSecret(name, secrets) ? [] : [ISSUES.event]),
    ...(ts === null ? [ISSUES.ts] : []),
    ...(memberId !== null && !holdsSecret(memberId, secrets) ? [] : [ISSUES.memberId]),
    ...(isToken(sentAuth['application_token']) ? [] : [ISSUES.applicationToken]),
  ];
  if (issues.length > 0 || name === null || ts === null || memberId === null) return { ok: false, issues };
  const handlerId = wholeNumberOf(fields['event_handler_id'] ?? fields['EVENT_HANDLER_ID']);
  return { ok: true, envelope: { name, handlerId, ts, ...partsOf({ name, memberId, auth, data: fields['data'] }) } };
}

interface Parts {
  readonly name: string;
  readonly memberId: string;
  readonly auth: Readonly<Record<string, JsonValue>>;
  readonly data: unknown;
}

function partsOf(parts: Parts): Pick<ParsedEnvelope, 'auth' | 'body' | 'secrets' | 'fingerprint'> {
  const { open, sealed, secretValues, isOpenValue } = splitAuth(parts.auth, parts.memberId);
  const whole = wireFormOf(parts.data);
  const { data, moved } = redactData(whole, withSecretsOfData(secretValues, whole, isOpenValue));
  return {
    auth: open,
    body: bodyOf(parts.name, data),
    secrets: { auth: sealed, data: moved },
    fingerprint: fingerprintOf(whole),
  };
}

function bodyOf(name: string, data: JsonValue): ParsedBody {
  if (!isKnownEventName(name)) return { state: 'open', payload: data };
  const result = parsePayload(name, data);
  if (result.ok) return { state: 'typed', payload: result.payload };
  return { state: 'quarantined', data, issues: result.issues };
}

const EVENT_NAME = /^[\w.:-]{1,128}$/;
const MEMBER_ID = /^[\w.-]{1,64}$/;
const APPLICATION_TOKEN_LENGTH_MAX = 256;

const ISSUES = {
  event: { path: 'event', message: 'expected 1 to 128 letters, digits or any of _.:-' },
  ts: { path: 'ts', message: 'expected whole seconds since 1970, at most ten digits' },
  memberId: { path: 'auth.member_id', message: 'expected 1 to 64 letters, digits or any of _.-' },
  applicationToken: { path: 'auth.application_token', message: 'expected a string of 1 to 256 characters' },
} as const satisfies Record<string, Issue>;

function fieldsIn(value: unknown): Readonly<Record<string, unknown>> {
  return isMap(value) ? value : {};
}

// An auth whose fields are all empty has no map left in wire form.
function wireFieldsOf(fields: Readonly<Record<string, unknown>>): Readonly<Record<string, JsonValue>> {
  const wireForm = wireFormOf(fields);
  return isMap(wireForm) ? wireForm : {};
}

function tsOf(value: unknown): number | null {
  const isScalar = typeof value === 'string' || typeof value === 'number';
  return isScalar && /^\d{1,10}$/.test(String(value)) ? Number(value) : null;
}

function isToken(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= APPLICATION_TOKEN_LENGTH_MAX;
}

function matching(value: unknown, pattern: RegExp): string | null {
  return typeof value === 'string' && pattern.test(value) ? value : null;
}
