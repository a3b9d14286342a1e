import { createHash, timingSafeEqual } from 'node:crypto';

/** Hashes are of one length, so that a comparison tells nothing of the secret's. */
export function secretDigest(secret: string): Buffer {
  return createHash('sha256').update(secret, 'utf8').digest();
}

/** Looks at all of them, whichever fits, so that the time does not tell which. */
export function matchesAny(actual: Buffer, expected: readonly Buffer[]): boolean {
  let found = false;
  for (const candidate of expected) found = timingSafeEqual(actual, candidate) || found;
  return found;
}
