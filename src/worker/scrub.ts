import type { JsonValue } from '../shared/bitrix24/event.js';
import { SEALED } from '../shared/bitrix24/redact-secrets.js';
import type { Secrets } from '../shared/delivery.js';

/** Shorter values are no secrets, and would blot out words. */
const SECRET_LENGTH_MIN = 6;

/** The text without any secret of the event: an error of foreign code may quote what it was given. */
export function scrub(text: string, secrets: Secrets): string {
  let scrubbed = text;
  for (const secret of [...stringsIn(secrets.auth), ...stringsIn(secrets.data)]) {
    if (secret.length >= SECRET_LENGTH_MIN) scrubbed = scrubbed.replaceAll(secret, SEALED);
  }
  return scrubbed;
}

function stringsIn(value: JsonValue): string[] {
  if (typeof value === 'string') return [value];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap(stringsIn);
}
