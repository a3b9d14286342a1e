import type { JsonValue } from './event.js';
import { isSecretName } from './secret-names.js';
import { foldCase, type SecretValues } from './secret-values.js';
import { createMapFor } from './wire-form.js';

/** What stands in the open where a secret was. */
export const SEALED = '[sealed]';

/**
 * Characters searched per event, each counted once for every value that is looked for; beyond it text is sealed unread.
 * A body of 1 MiB cannot reach a quarter of it; it is for those who allow bodies without measure. At worst 1.3 s.
 */
const SEARCH_WORK_MAX = 2 ** 28;
/** What a search costs before its first character, in characters. */
const SEARCH_START_WORK = 16;

/**
 * Takes the secrets out of data; `moved` holds what stood there, in the order in which it was met, and `data` is the same
 * object if there were none. No paths: together they would grow with the square of the body.
 */
export function redactData(
  data: JsonValue,
  values: SecretValues,
): { readonly data: JsonValue; readonly moved: readonly JsonValue[] } {
  const lengthMin = values.needles.at(-1)?.text.length ?? Number.POSITIVE_INFINITY;
  const redaction: Redaction = { values, lengthMin, moved: [], work: 0 };
  return { data: sealValue(data, redaction), moved: redaction.moved };
}

interface Redaction {
  readonly values: SecretValues;
  /** Of the shortest value that is searched for. */
  readonly lengthMin: number;
  readonly moved: JsonValue[];
  work: number;
}

function sealValue(value: JsonValue, redaction: Redaction): JsonValue {
  if (typeof value === 'string') return redactText(value, redaction);
  if (typeof value !== 'object' || value === null) return value;
  return isList(value) ? sealList(value, redaction) : redactMap(value, redaction);
}

function redactText(text: string, redaction: Redaction): string {
  const redacted = redact(text, redaction);
  if (redacted !== text) redaction.moved.push(text);
  return redacted;
}

function sealList(list: readonly JsonValue[], redaction: Redaction): JsonValue {
  const items = list.map((item) => sealValue(item, redaction));
  return items.every((item, index) => item === list[index]) ? list : items;
}

function redactMap(map: Readonly<Record<string, JsonValue>>, redaction: Redaction): JsonValue {
  const keys = Object.keys(map);
  const copy: Record<string, JsonValue> = createMapFor(keys);
  let hasChanged = false;
  for (const [index, key] of keys.entries()) {
    const value = map[key] ?? null;
    const hidden = redact(key, redaction);
    const openKey = hidden === key ? key : unusedKey(`${hidden}~${index}`, map);
    const isSecret = hidden !== key || isSecretName(key);
    const sealed = isSecret ? moveAway(value, redaction) : sealValue(value, redaction);
    hasChanged ||= openKey !== key || sealed !== value;
    copy[openKey] = sealed;
  }
  return hasChanged ? copy : map;
}

/** Nobody but an attacker writes a token as a key, and then two of them, or `[sealed]~0` beside it: none may be lost. */
function unusedKey(key: string, map: Readonly<Record<string, JsonValue>>): string {
  let unused = key;
  while (Object.hasOwn(map, unused)) unused += '~';
  return unused;
}

function moveAway(value: JsonValue, redaction: Redaction): JsonValue {
  // An empty field hides nothing, and that it is empty may be what the reader needs to know.
  if (value === '') return value;
  redaction.moved.push(value);
  return SEALED;
}

function redact(text: string, redaction: Redaction): string {
  if (text.length < redaction.lengthMin) return text;
  const { needles } = redaction.values;
  redaction.work += (text.length + SEARCH_START_WORK) * needles.length;
  const isTooMuch = redaction.work > SEARCH_WORK_MAX;
  let found = { text, folded: isTooMuch ? '' : foldCase(text) };
  // Should a character ever get longer in lower case, the places found would not be those in the text.
  if (found.folded.length !== text.length) return SEALED;
  for (const needle of needles) {
    if (!found.folded.includes(needle.text)) continue;
    if (!needle.isWhole) return SEALED;
    found = cutOut(found, needle.text);
  }
  return found.text;
}

interface FoldedText {
  readonly text: string;
  /** The same in lower case, character by character. */
  readonly folded: string;
}

function cutOut({ text, folded }: FoldedText, needle: string): FoldedText {
  const foldedParts = folded.split(needle);
  let at = 0;
  const parts = foldedParts.map(({ length }) => {
    const part = text.slice(at, at + length);
    at += length + needle.length;
    return part;
  });
  return { text: parts.join(SEALED), folded: foldedParts.join(SEALED) };
}

function isList(value: object): value is readonly JsonValue[] {
  return Array.isArray(value);
}
