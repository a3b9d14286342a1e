import { isMap } from '../shared/is-map.js';
import { isUtf8 } from 'node:buffer';
import qs from 'qs';
import type { Issue } from '../shared/bitrix24/event.js';
import { areListKeys, makeSparse } from '../shared/bitrix24/wire-form.js';

export interface BodyBounds {
  /** Brackets in a key, or the levels below the outermost object in JSON. */
  readonly depthMax: number;
  /** Parameters of a form, or values in JSON. */
  readonly parametersMax: number;
}

/**
 * Characters of one key, or of one step of it between brackets. PHP's and Bitrix24's are short; a longer one would cost
 * its length again wherever it is repeated, in an issue or in a record.
 */
const KEY_LENGTH_MAX = 256;

export type DecodeResult =
  { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly issues: readonly Issue[] };

/**
 * A form with nested brackets, as PHP's `http_build_query` writes it. Values come out as strings, lists as arrays of any
 * length, maps with other numbers as keys as maps. A key that came twice has an array, a key that is both a value and a
 * map has both in an array: what reads them must check types. Nothing is ever cut off in silence.
 *
 * qs splits and unescapes; the tree is built here, in time that grows with the body. qs makes an array as long as its
 * largest index and walks all of it, and remembers every container in a weak map: with 16 levels in each of 10,000
 * parameters that was 350 ms for one body.
 */
export function decodeForm(bytes: Buffer, bounds: BodyBounds): DecodeResult {
  const text = textIn(bytes);
  if (typeof text !== 'string') return refuse(text.problem);
  if (countParameters(text) > bounds.parametersMax) return refuse(tooMany(bounds));
  const fields = qs.parse(text, flatFormOptions(bounds));
  const tree: Tree = {};
  for (const key of Object.keys(fields)) {
    const path = pathOf(key);
    if (path.length - 1 > bounds.depthMax) return refuse(tooDeep(bounds));
    if (path.some(isLongKey)) return refuse(LONG_KEY);
    if (!path.includes('__proto__')) insert(tree, path, fields[key]);
  }
  return { ok: true, value: settle(tree) };
}

/** A JSON object. `__proto__` is dropped from wherever it stands. */
export function decodeJson(bytes: Buffer, bounds: BodyBounds): DecodeResult {
  const text = textIn(bytes);
  if (typeof text !== 'string') return refuse(text.problem);
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return refuse('expected a JSON object');
  const problem = boundJson(value, { bounds, count: 0 }, 0);
  return problem === undefined ? { ok: true, value } : refuse(problem);
}

type Tree = Record<string, unknown>;

function textIn(bytes: Buffer): string | { readonly problem: string } {
  if (!isUtf8(bytes)) return { problem: 'expected UTF-8' };
  const text = bytes.toString('utf8');
  const content = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text;
  return content === '' ? { problem: 'the body is empty' } : content;
}

const BYTE_ORDER_MARK = '\uFEFF';

function countParameters(text: string): number {
  let count = 1;
  for (let at = text.indexOf('&'); at !== -1; at = text.indexOf('&', at + 1)) count += 1;
  return count;
}

function flatFormOptions({ depthMax }: BodyBounds): qs.IParseOptions<qs.BooleanOptional> {
  const decodePercent = createPercentDecoder();
  const counters = new Map<string, number>();
  // With its brackets. What is longer is refused for its depth or for the length of a step.
  const keyLengthMax = (depthMax + 1) * (KEY_LENGTH_MAX + EMPTY_BRACKETS.length);
  return {
    depth: 0,
    // Counted already; qs would cut off the rest.
    parameterLimit: Number.POSITIVE_INFINITY,
    parseArrays: false,
    allowSparse: true,
    // `constructor` is an own key like any other; qs drops `__proto__` nevertheless.
    allowPrototypes: true,
    decoder: (part, ...[, , type]) => {
      const decoded = decodePercent(part);
      return type === 'key' && decoded.length <= keyLengthMax ? numberEmptyBrackets(decoded, counters) : decoded;
    },
  };
}

const EMPTY_BRACKETS = '[]';

/** Like PHP, gives `a[]` the next number at this place. */
function numberEmptyBrackets(key: string, counters: Map<string, number>): string {
  if (!key.includes(EMPTY_BRACKETS)) return key;
  const [first = '', ...others] = key.split(EMPTY_BRACKETS);
  let place = first;
  for (const part of others) {
    const index = counters.get(place) ?? 0;
    counters.set(place, index + 1);
    place = `${place}[${index}]${part}`;
  }
  return place;
}

/** `a[b][c]` as `a`, `b` and `c`. A key whose brackets do not add up is one name as it stands. */
function pathOf(key: string): readonly string[] {
  const open = key.indexOf('[');
  if (open <= 0 || !key.endsWith(']')) return [key];
  const steps = key.slice(open + 1, -1).split('][');
  return steps.some((step) => step.includes('[') || step.includes(']')) ? [key] : [key.slice(0, open), ...steps];
}

function insert(tree: Tree, path: readonly string[], value: unknown): void {
  let map = tree;
  let at = 0;
  for (; at < path.length - 1; at += 1) {
    const child = mapIn(ownValue(map, path[at] ?? ''));
    if (child === undefined) break;
    map = child;
  }
  addField(map, path[at] ?? '', wrap(value, path.slice(at + 1)));
}

/** The map that a further step leads into; the newest one where several things stand at a key. */
function mapIn(existing: unknown): Tree | undefined {
  const newest: unknown = Array.isArray(existing) ? existing.at(-1) : existing;
  return isMap(newest) ? newest : undefined;
}

function wrap(value: unknown, path: readonly string[]): unknown {
  return path.reduceRight<unknown>((inner, key) => {
    const map: Tree = {};
    addField(map, key, inner);
    return map;
  }, value);
}

/** What comes second to a key stands beside the first, in an array. */
function addField(map: Tree, key: string, value: unknown): void {
  const existing = ownValue(map, key);
  if (Array.isArray(existing)) {
    existing.push(value);
    return;
  }
  if (isLargeIndex(key)) makeSparse(map);
  map[key] = existing === undefined ? value : [existing, value];
}

function isLargeIndex(key: string): boolean {
  return key.length > 1 && key >= '1' && key < ':' && LARGE_INDEX.test(key);
}

const LARGE_INDEX = /^\d+$/;

function ownValue(map: Tree, key: string): unknown {
  const value = map[key];
  // What an object inherits, `constructor`, is not among the fields.
  return value === undefined || Object.hasOwn(map, key) ? value : undefined;
}

/** Maps that are lists become arrays; all else stays where it is. */
function settle(node: unknown): unknown {
  if (typeof node !== 'object' || node === null) return node;
  if (Array.isArray(node)) return node.map(settle);
  const tree = node as Tree;
  const keys = Object.keys(tree);
  if (areListKeys(keys)) return Object.values(tree).map(settle);
  for (const key of keys) {
    const value = tree[key];
    const settled = settle(value);
    if (settled !== value) tree[key] = settled;
  }
  return tree;
}

/**
 * A decoder of percent escapes and `+`. What is no escape stands for itself, bytes that are no UTF-8 become U+FFFD: half
 * of a text is more than the `%CF%F0` that qs leaves. The engine's own decoder is the fastest on sound text; where it
 * throws once it may throw ten thousand times, at 15 µs each, so the rest of that body goes without it.
 */
function createPercentDecoder(): (part: string) => string {
  let isSound = true;
  return (part) => {
    const text = part.includes('+') ? part.replaceAll('+', ' ') : part;
    if (!text.includes('%')) return text;
    const decoded = isSound ? decodeSound(text) : undefined;
    isSound = decoded !== undefined;
    return decoded ?? decodeBytes(text);
  };
}

function decodeSound(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

function decodeBytes(text: string): string {
  const bytes = Buffer.from(text, 'utf8');
  let length = 0;
  let at = 0;
  while (at < bytes.length) {
    const byte = bytes[at] ?? 0;
    const escaped = byte === PERCENT_SIGN ? hexDigit(bytes[at + 1]) * 16 + hexDigit(bytes[at + 2]) : Number.NaN;
    const isEscape = !Number.isNaN(escaped);
    bytes[length] = isEscape ? escaped : byte;
    length += 1;
    at += isEscape ? ESCAPE_LENGTH : 1;
  }
  return bytes.toString('utf8', 0, length);
}

const PERCENT_SIGN = 0x25;
const ESCAPE_LENGTH = 3;

/** NaN for what is none. */
function hexDigit(byte: number | undefined): number {
  if (byte === undefined) return Number.NaN;
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const upper = byte & ~0x20;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x41 + 10 : Number.NaN;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body.
    return undefined;
  }
}

/** Walks no deeper than the bound, so its own depth is bounded too. */
function boundJson(
  node: object,
  state: { readonly bounds: BodyBounds; count: number },
  depth: number,
): string | undefined {
  if (depth > state.bounds.depthMax) return tooDeep(state.bounds);
  if (Object.hasOwn(node, '__proto__')) delete (node as Tree)['__proto__'];
  if (!Array.isArray(node) && Object.keys(node).some(isLongKey)) return LONG_KEY;
  const children: readonly unknown[] = Object.values(node);
  state.count += children.length === 0 ? 1 : 0;
  for (const child of children) {
    const isContainer = typeof child === 'object' && child !== null;
    const problem = isContainer ? boundJson(child, state, depth + 1) : undefined;
    if (problem !== undefined) return problem;
    state.count += isContainer ? 0 : 1;
    if (state.count > state.bounds.parametersMax) return tooMany(state.bounds);
  }
  return undefined;
}

const LONG_KEY = `a key longer than ${KEY_LENGTH_MAX} characters`;

function isLongKey(key: string): boolean {
  return key.length > KEY_LENGTH_MAX;
}

function tooDeep({ depthMax }: BodyBounds): string {
  return `nested deeper than ${depthMax} levels`;
}

function tooMany({ parametersMax }: BodyBounds): string {
  return `more than ${parametersMax} parameters`;
}

function refuse(message: string): DecodeResult {
  return { ok: false, issues: [{ path: '', message }] };
}
