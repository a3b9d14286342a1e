import type { JsonValue } from './event.js';

/** A field of a map; undefined where there is none, or where it is no map. */
export function jsonField(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, JsonValue>>)[name] : undefined;
}

/** As JSON says it, and as PHP says it elsewhere in the same API. */
export function isYes(value: JsonValue | undefined): boolean {
  return value === true || value === 'Y' || value === '1' || value === 1;
}
