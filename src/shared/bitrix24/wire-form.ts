import { hash } from 'node:crypto';
import type { JsonValue } from './event.js';

/**
 * The shape data has after a trip through PHP's `http_build_query`, which is how a portal sends it: scalars are strings
 * (`true` is "1", `false` "0"), nulls and whatever is empty are gone, a map with exactly the keys 0..n-1 is a list.
 *
 * A form body has this shape already and is returned as it is. A JSON body is brought into it, so that the same event
 * leads to the same payload, the same fingerprint and the same forwarded body, however it was encoded.
 */
export function wireFormOf(data: unknown): JsonValue {
  // An empty array is what PHP has for "nothing", and what the documents show for an event without data.
  return wireValueOf(data) ?? [];
}

/**
 * SHA-256 of data in wire form, in base64url. Key case does not count, since senders differ in it; key order neither.
 * Keys that differ in nothing but case are ordered by their exact spelling.
 */
export function fingerprintOf(wireForm: JsonValue): string {
  const parts: string[] = [];
  spell(wireForm, parts);
  return hash('sha256', parts.join(''), 'base64url');
}

type WireMap = Record<string, JsonValue>;

/** Whether the keys, in the order of `Object.keys`, are 0..n-1: integers come first and ascend, so the last one tells. */
export function areListKeys(keys: readonly string[]): boolean {
  return keys.length > 0 && keys.at(-1) === String(keys.length - 1);
}

/**
 * Prepares an object for integer keys that are no list. V8 gives an ordinary object that gets the key 1000 room for 1500
 * elements (12 KB); ten thousand such objects fit into one body and cost 300 ms. An object that once held an index
 * beyond 2^29 keeps its integer keys in a hash table instead: 5 ms.
 */
export function makeSparse(map: Record<string, unknown>): void {
  map[SLOW_ELEMENTS_INDEX] = true;
  delete map[SLOW_ELEMENTS_INDEX];
}

const SLOW_ELEMENTS_INDEX = String(2 ** 31);

/** An empty object that is right for these keys. */
export function createMapFor<Value>(keys: readonly string[]): Record<string, Value> {
  const map: Record<string, Value> = {};
  if (INTEGER_KEY.test(keys[0] ?? '')) makeSparse(map);
  return map;
}

const INTEGER_KEY = /^\d/;

function wireValueOf(value: unknown): JsonValue | undefined {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return String(value);
    case 'boolean':
      return value ? '1' : '0';
    case 'object':
      return value === null ? undefined : wireContainerOf(value as Readonly<Record<string, unknown>>);
    default:
      return undefined;
  }
}

function wireContainerOf(container: Readonly<Record<string, unknown>>): JsonValue | undefined {
  const allKeys = Object.keys(container);
  const values = allKeys.map((key) => (key === '__proto__' ? undefined : wireValueOf(container[key])));
  const keys = allKeys.filter((_, index) => values[index] !== undefined);
  if (keys.length === 0) return undefined;
  const isUnchanged = keys.length === allKeys.length && keys.every((key, index) => container[key] === values[index]);
  if (isUnchanged && Array.isArray(container) === areListKeys(keys)) return container as JsonValue;
  const kept = values.filter((value) => value !== undefined);
  return areListKeys(keys) ? kept : mapOf(keys, kept);
}

function mapOf(keys: readonly string[], values: readonly JsonValue[]): JsonValue {
  const map: WireMap = createMapFor(keys);
  for (const [index, value] of values.entries()) map[keys[index] ?? ''] = value;
  return map;
}

/**
 * Spells the value in parts. Lengths go before keys and texts, and the first character tells what follows, so that no two
 * different data are spelled alike. Each key is spelled once: with its path before every leaf, a body of 0.9 MB with
 * 10,000 leaves under one long key took gigabytes.
 */
function spell(value: JsonValue, parts: string[]): void {
  if (typeof value !== 'object' || value === null) {
    const text = String(value);
    parts.push(`=${text.length}:`, text);
    return;
  }
  if (Array.isArray(value)) {
    parts.push('[');
    for (const item of value) spell(item, parts);
    parts.push(']');
    return;
  }
  parts.push('{');
  for (const { name, child } of sortedFieldsOf(value as Readonly<Record<string, JsonValue>>)) {
    parts.push(`${name.length}:`, name);
    spell(child, parts);
  }
  parts.push('}');
}

interface Field {
  readonly name: string;
  readonly key: string;
  readonly child: JsonValue;
}

function sortedFieldsOf(map: Readonly<Record<string, JsonValue>>): readonly Field[] {
  const fields = Object.entries(map).map(([key, child]) => ({ name: key.toLowerCase(), key, child }));
  return fields.toSorted((a, b) => compare(a.name, b.name) || compare(a.key, b.key));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
