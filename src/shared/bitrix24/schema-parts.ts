import { isMap } from '../is-map.js';
import { z } from 'zod';

/** The whole number that a scalar spells as PHP would: "107", -1; not "1e3", " 7", "0x10" nor "007". */
export function wholeNumberOf(value: unknown): number | null {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value + 0 : null;
  if (typeof value !== 'string' || !WHOLE_NUMBER.test(value)) return null;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : null;
}

const WHOLE_NUMBER = /^(?:0|-?[1-9]\d{0,15})$/;

/** A whole number of either sign within the bounds of a double. */
export const wholeNumber = scalar(wholeNumberOf, 'expected a whole number');

/** The id of an open line. */
export const lineNumber = scalar((value) => {
  const number = wholeNumberOf(value);
  return number !== null && number >= 0 ? number : null;
}, 'expected a whole number from 0 on');

/** Any string, a number as its decimal. */
export const text = scalar(textOf, 'expected a string');

export const filledText = scalar((value) => textOf(value) || null, 'expected a string that is not empty');

export const connectorId = scalar((value) => {
  const id = textOf(value);
  return id !== null && id.length > 0 && id.length <= CONNECTOR_ID_LENGTH_MAX ? id : null;
}, 'expected a string of 1 to 255 characters');

const CONNECTOR_ID_LENGTH_MAX = 255;

/** PHP's and Bitrix24's spellings of yes and no. */
export const flag = scalar((value) => {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') return null;
  return FLAGS.get(String(value).toLowerCase()) ?? null;
}, 'expected Y, N, 1, 0, true or false');

const FLAGS: ReadonlyMap<string, boolean> = new Map([
  ['y', true],
  ['1', true],
  ['true', true],
  ['n', false],
  ['0', false],
  ['false', false],
]);

/** A list, also where PHP made a map of it, `{"0": …, "2": …}`. */
export function listOf<Item extends z.ZodType>(item: Item, { min }: { readonly min: number }) {
  const message = min > 0 ? 'expected a list that is not empty' : 'expected a list';
  return z.preprocess(listIn, z.array(item, { error: message }).min(min, { error: message }));
}

/** One value or several, as a list of strings without the empty ones. */
export const texts = z.preprocess(
  (value) => (typeof value === 'string' || typeof value === 'number' ? [value] : listIn(value ?? [])),
  z.array(text, { error: 'expected a string or a list of strings' }).transform((list) => list.filter(Boolean)),
);

export interface RecordOptions {
  /** The one known field in which an empty string says something. */
  readonly keepEmpty?: string;
  /** The map may be missing: all that was in it was empty. */
  readonly mayBeAbsent?: boolean;
}

/**
 * A map with these fields, in whichever case they come. A known field that is empty counts as absent. Others are kept:
 * under their own name, or in lower case if it is all in capitals, the older spelling of the same.
 */
export function record<Shape extends z.ZodRawShape>(shape: Shape, options: RecordOptions = {}) {
  const names = new Map(Object.keys(shape).map((name) => [name.toLowerCase(), name]));
  const fold = (value: unknown): unknown => {
    if (options.mayBeAbsent === true && isNothing(value)) return {};
    return foldFields(value, names, options.keepEmpty);
  };
  return z.preprocess(fold, z.looseObject(shape, { error: 'expected a map of fields' }));
}

function scalar<Value>(read: (value: unknown) => Value | null, message: string) {
  return z.transform((value: unknown, context): Value => {
    const result = read(value);
    if (result !== null) return result;
    // Without `input`: an issue must never hold a value.
    context.issues.push({ code: 'custom', message, input: undefined });
    return z.NEVER;
  });
}

function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return typeof value === 'number' && Number.isFinite(value) ? String(value) : null;
}

function listIn(value: unknown): unknown {
  if (!isMap(value)) return value;
  return Object.keys(value).every((key) => DIGITS.test(key)) ? Object.values(value) : value;
}

const DIGITS = /^\d+$/;

function foldFields(value: unknown, names: ReadonlyMap<string, string>, keepEmpty: string | undefined): unknown {
  if (!isMap(value)) return undefined;
  const folded: Record<string, unknown> = {};
  for (const [key, field] of Object.entries(value)) {
    // Numbers do not name fields; copying many such maps would also be slow, see `makeSparse`.
    if (DIGITS.test(key)) return undefined;
    const known = names.get(key.toLowerCase());
    const name = known ?? (isAllCapitals(key) ? key.toLowerCase() : key);
    const isEmpty = field === '' && known !== undefined && known !== keepEmpty;
    // `__PROTO__` in lower case would replace the prototype of what is being built.
    if (field === undefined || field === null || isEmpty || name === '__proto__') continue;
    // Where both spellings came, the exact one counts.
    if (name === key || !Object.hasOwn(folded, name)) folded[name] = field;
  }
  return folded;
}

function isAllCapitals(key: string): boolean {
  return key === key.toUpperCase();
}

function isNothing(value: unknown): boolean {
  return value === undefined || value === null || (Array.isArray(value) && value.length === 0);
}
