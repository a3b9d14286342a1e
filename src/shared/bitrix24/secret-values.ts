import type { JsonValue } from './event.js';
import { isSecretName } from './secret-names.js';

/**
 * Shorter values are left alone inside other text: they would match by chance. Under their own key they are sealed at
 * any length.
 */
const SEARCHED_LENGTH_MIN = 8;

/**
 * Of a longer value its beginning is searched for. V8 builds the tables of its Boyer-Moore search for the last 250
 * characters of what it looks for (kBMMaxShift in src/strings/string-search.h). Up to there 1 MiB takes at most 5 ms,
 * whatever repeats itself in it; from 256 characters on it takes 110 ms, and minutes with a value as long as the body.
 */
const SEARCHED_LENGTH_MAX = 250;

/** Real events carry two to six secrets, each in one or two spellings. What is beyond is sealed under its own key alone. */
const NEEDLES_MAX = 50;

/** Something to be searched for. */
export interface Needle {
  /** Folded, see {@link foldCase}. */
  readonly text: string;
  /** Not for the beginning of a longer value: where it stands, nobody knows where the secret ends. */
  readonly isWhole: boolean;
}

/** The secret values of one event, and the means to find them. */
export interface SecretValues {
  /** Searched for inside every string, longest first, so that a value inside another does not spoil it. */
  readonly needles: readonly Needle[];
  /** Values of fields of `auth` whose name says that they are secret, of any length. */
  readonly named: ReadonlySet<string>;
}

/** Names values that stand in the open by right: a copy of them in a field nobody has heard of makes no secret of them. */
export type IsOpen = (value: string) => boolean;

/** The values that must not show up anywhere else, from the part of `auth` that is to be sealed. */
export function secretValuesOf(sealedAuth: Readonly<Record<string, JsonValue>>, isOpen: IsOpen): SecretValues {
  const named = new Set<string>();
  const unnamed: string[] = [];
  for (const [name, field] of Object.entries(sealedAuth)) {
    const hasSecretName = isSecretName(name);
    for (const value of textsIn(field)) {
      if (hasSecretName) named.add(value);
      else if (value.length >= SEARCHED_LENGTH_MIN && !isOpen(value)) unnamed.push(value);
    }
  }
  const needles: Needles = new Map();
  // In this order, so that a long list in a field nobody has heard of does not use up the room.
  for (const value of named) addNeedles(value, needles);
  for (const value of unnamed) addNeedles(value, needles);
  return { needles: longestFirst(needles), named };
}

/** With the values that stand under secret names in `data`: a copy of one may stand in a link beside it. */
export function withSecretsOfData(values: SecretValues, data: JsonValue, isOpen: IsOpen): SecretValues {
  const needles: Needles = new Map(values.needles.map((needle) => [needle.text, needle]));
  const countBefore = needles.size;
  for (const value of namedTextsIn(data)) {
    if (needles.size >= NEEDLES_MAX) break;
    if (value.length >= SEARCHED_LENGTH_MIN && !isOpen(value)) addNeedles(value, needles);
  }
  return needles.size === countBefore ? values : { ...values, needles: longestFirst(needles) };
}

/** Whether the text is a secret or contains one, in whichever case. */
export function holdsSecret(text: string, values: SecretValues): boolean {
  if (values.named.has(text)) return true;
  const folded = foldCase(text);
  return values.needles.some((needle) => folded.includes(needle.text));
}

/** In lower case and of the same length: of all characters only İ gets longer by itself. */
export function foldCase(text: string): string {
  return (text.includes('İ') ? text.replaceAll('İ', 'i') : text).toLowerCase();
}

type Needles = Map<string, Needle>;

function addNeedles(value: string, needles: Needles): void {
  if (value.length < SEARCHED_LENGTH_MIN) return;
  addNeedle(value, needles);
  const start = value.slice(0, SEARCHED_LENGTH_MAX);
  if (!PRINTABLE_ASCII.test(start) || SAME_IN_LINKS.test(start)) return;
  // As it would stand in a link.
  addNeedle(encodeURIComponent(start), needles);
}

function addNeedle(value: string, needles: Needles): void {
  const isWhole = value.length <= SEARCHED_LENGTH_MAX;
  const text = foldCase(isWhole ? value : value.slice(0, SEARCHED_LENGTH_MAX));
  if (needles.has(text) ? !isWhole : needles.size < NEEDLES_MAX) needles.set(text, { text, isWhole });
}

const PRINTABLE_ASCII = /^[ -~]+$/;
const SAME_IN_LINKS = /^[\w.!~*'()-]+$/;

function longestFirst(needles: Needles): readonly Needle[] {
  return [...needles.values()].toSorted((a, b) => b.text.length - a.text.length);
}

function* namedTextsIn(value: JsonValue): Generator<string> {
  if (typeof value !== 'object' || value === null) return;
  for (const [name, child] of Object.entries(value)) yield* isSecretName(name) ? textsIn(child) : namedTextsIn(child);
}

function* textsIn(value: JsonValue): Generator<string> {
  if (typeof value === 'string') yield value;
  if (typeof value !== 'object' || value === null) return;
  for (const child of Object.values(value)) yield* textsIn(child);
}
