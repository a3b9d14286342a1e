import type { JsonValue } from './event.js';
import { createMapFor } from './wire-form.js';

/** What stands in the open where a secret was. */
export const SEALED = '[sealed]';

/**
 * Characters compared, at worst, per event. A search is as slow as text times value where both repeat themselves, so a
 * body of 1 MiB could be made to take minutes. True events need a hundredth of this; beyond it text is sealed unread.
 */
const SEARCH_WORK_MAX = 2 ** 27;
/** What a search costs before its first comparison, in comparisons. */
const SEARCH_START_WORK = 16;

/** Shorter values are left alone inside other text: they would match by chance. */
const SEARCHED_LENGTH_MIN = 8;

/** The secret values of one event, and the means to find them. */
export interface SecretValues {
  /** Searched for inside every string, longest first, so that a value inside another does not spoil it. */
  readonly searched: readonly string[];
  /** Values of fields whose name says that they are secret, of any length. */
  readonly named: ReadonlySet<string>;
}

const SECRET_WORDS = [
  'token',
  'secret',
  'password',
  'passwd',
  'api_?key',
  'private_?key',
  'authorization',
  'auth',
  'auth_?id',
  'refresh_?id',
  'auth_?code',
  'app_?sid',
  'sid',
  'session_?key',
].join('|');
const SECRET_NAME = new RegExp(`(?:^|[_.-])(?:${SECRET_WORDS})$`, 'i');
// accessToken, clientsecret: the words that also end a name without a separator before them.
const SECRET_ENDING = /(?:token|secret|password|sessid)$/i;

/** Whether a field of this name holds a secret: `access_token`, `AUTH_ID`, `clientSecret`, … */
export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) || SECRET_ENDING.test(name);
}

/**
 * The values that must not show up anywhere else, from the part of `auth` that is to be sealed. `isOpen` names values
 * that stand in the open by right: a copy of them in a field nobody has heard of does not make them secret.
 */
export function secretValuesOf(
  sealedAuth: Readonly<Record<string, JsonValue>>,
  isOpen: (value: string) => boolean,
): SecretValues {
  const searched = new Set<string>();
  const named = new Set<string>();
  for (const [name, field] of Object.entries(sealedAuth)) {
    const hasSecretName = isSecretName(name);
    for (const value of textsOf(field)) {
      if (hasSecretName) named.add(value);
      if (hasSecretName || !isOpen(value)) addSearched(value, searched);
    }
  }
  return { searched: [...searched].toSorted((a, b) => b.length - a.length), named };
}

/** Whether the text is a secret or contains one, in whichever case. */
export function holdsSecret(text: string, values: SecretValues): boolean {
  if (values.named.has(text)) return true;
  const folded = text.toLowerCase();
  return values.searched.some((value) => folded.includes(value.toLowerCase()));
}

/** Takes the secrets out of data; `moved` holds what stood at each path, and `data` is the same object if none did. */
export function redactData(
  data: JsonValue,
  values: SecretValues,
): { readonly data: JsonValue; readonly moved: Readonly<Record<string, JsonValue>> } {
  const moved: Record<string, JsonValue> = {};
  return { data: sealValue(data, '', { values, moved, work: 0 }), moved };
}

interface Redaction {
  readonly values: SecretValues;
  readonly moved: Record<string, JsonValue>;
  work: number;
}

function sealValue(value: JsonValue, path: string, redaction: Redaction): JsonValue {
  if (typeof value === 'string') return redactText(value, path, redaction);
  if (typeof value !== 'object' || value === null) return value;
  if (isList(value)) return sealList(value, path, redaction);
  return redactMap(value, path, redaction);
}

function redactText(text: string, path: string, redaction: Redaction): string {
  const redacted = redact(text, redaction);
  if (redacted !== text) redaction.moved[path] = text;
  return redacted;
}

function sealList(list: readonly JsonValue[], path: string, redaction: Redaction): JsonValue {
  const items = list.map((item, index) => sealValue(item, pathTo(path, String(index)), redaction));
  return items.every((item, index) => item === list[index]) ? list : items;
}

function redactMap(map: Readonly<Record<string, JsonValue>>, path: string, redaction: Redaction): JsonValue {
  const keys = Object.keys(map);
  const copy: Record<string, JsonValue> = createMapFor(keys);
  let hasChanged = false;
  for (const [index, key] of keys.entries()) {
    const value = map[key] ?? null;
    // Nobody but an attacker writes a token as a key; two of them in one map must not become one.
    const hidden = redact(key, redaction);
    const openKey = hidden === key ? key : `${hidden}~${index}`;
    const childPath = pathTo(path, key);
    const isSecret = hidden !== key || isSecretName(key);
    const sealed = isSecret ? moveAway(value, childPath, redaction) : sealValue(value, childPath, redaction);
    hasChanged ||= openKey !== key || sealed !== value;
    copy[openKey] = sealed;
  }
  return hasChanged ? copy : map;
}

function moveAway(value: JsonValue, path: string, redaction: Redaction): JsonValue {
  // An empty field hides nothing, and that it is empty may be what the reader needs to know.
  if (value === '') return value;
  redaction.moved[path] = value;
  return SEALED;
}

function redact(text: string, redaction: Redaction): string {
  let redacted = text;
  for (const value of redaction.values.searched) {
    redaction.work += SEARCH_START_WORK;
    if (redacted.length < value.length) continue;
    redaction.work += redacted.length * value.length;
    if (redaction.work > SEARCH_WORK_MAX) return SEALED;
    if (redacted.includes(value)) redacted = redacted.replaceAll(value, SEALED);
  }
  return redacted;
}

function addSearched(value: string, searched: Set<string>): void {
  if (value.length < SEARCHED_LENGTH_MIN) return;
  searched.add(value);
  // As it would stand in a link.
  if (PRINTABLE_ASCII.test(value)) searched.add(encodeURIComponent(value));
}

const PRINTABLE_ASCII = /^[ -~]+$/;

function* textsOf(value: JsonValue): Generator<string> {
  if (typeof value === 'string') yield value;
  if (typeof value !== 'object' || value === null) return;
  for (const child of Object.values(value)) yield* textsOf(child);
}

function pathTo(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function isList(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}
