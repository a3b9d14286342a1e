import type { JsonValue } from './event.js';

/** A field of a map; undefined where there is none, or where it is no map. */
export function jsonField(value: JsonValue | undefined, name: string): JsonValue | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return Object.hasOwn(value, name) ? (value as Readonly<Record<string, JsonValue>>)[name] : undefined;
}
