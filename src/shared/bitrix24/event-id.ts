import { isMap } from '../is-map.js';
import { hash } from 'node:crypto';
import type { BitrixEvent, JsonValue } from './event.js';

/** What makes two deliveries the same event. */
export interface EventIdentity {
  readonly memberId: string;
  readonly name: string;
  readonly handlerId: number | null;
  readonly ts: number;
  readonly fingerprint: string;
}

export type DedupBy = 'content' | 'handler-ts';

/**
 * The id that duplicates share: 22 characters of base64url, no colon, so that it can be part of a key or of a job's id.
 *
 * `content` tells apart two messages of one second, which share handler and second. `handler-ts` is the literal rule of
 * the documents and drops the second one.
 */
export function eventIdOf(identity: EventIdentity, dedupBy: DedupBy): string {
  // JSON keeps the parts apart, and a number from a string; the first part keeps the two rules apart.
  const text = JSON.stringify([`bitrix24 event id by ${dedupBy}`, ...partsOf(identity, dedupBy)]);
  return hash('sha256', text, 'buffer').subarray(0, ID_BYTES).toString('base64url');
}

const ID_BYTES = 16;

function partsOf(identity: EventIdentity, dedupBy: DedupBy): readonly JsonValue[] {
  const { memberId, name, handlerId, ts, fingerprint } = identity;
  switch (dedupBy) {
    case 'content':
      return [memberId, name, handlerId, ts, fingerprint];
    case 'handler-ts':
      return [memberId, handlerId ?? name, ts];
    default:
      return dedupBy satisfies never;
  }
}

/**
 * Whether the event only says which entity changed, `FIELDS: {ID}`, and nothing of how: two of them in one second have
 * the same id although the entity may have changed in between.
 */
export function pointsOnly(event: BitrixEvent): boolean {
  if (event.kind !== 'OTHER') return false;
  const fields = onlyField(event.payload, 'FIELDS');
  const id = onlyField(fields, 'ID');
  return typeof id === 'string' || typeof id === 'number';
}

function onlyField(value: unknown, name: string): unknown {
  if (!isMap(value)) return undefined;
  const [first, ...others] = Object.entries(value);
  return first !== undefined && others.length === 0 && first[0].toUpperCase() === name ? first[1] : undefined;
}
