import type { Delivery, Secrets } from './delivery.js';
import { JobError } from './errors.js';
import type { Sealer } from './sealer.js';

type Place = Pick<Delivery, 'id'> & { readonly auth: Pick<Delivery['auth'], 'memberId'> };

/** One seal for all the secrets of a delivery; it opens only together with the id and the portal of that delivery. */
export function sealSecrets(sealer: Sealer, secrets: Secrets, place: Place): string {
  return sealer.seal(JSON.stringify(secrets), contextOf(place));
}

/** @throws {JobError} SEAL_KEY_UNKNOWN (later: the key may still come) or SEAL_BROKEN (never). */
export function openSecrets(sealer: Sealer, delivery: Place & Pick<Delivery, 'seal'>): Secrets {
  const opened = sealer.open(delivery.seal, contextOf(delivery));
  switch (opened.status) {
    case 'opened':
      // The seal authenticates what this program wrote, so it needs no second check.
      return JSON.parse(opened.plain) as Secrets;
    case 'key-unknown':
      throw new JobError('SEAL_KEY_UNKNOWN', `key ${opened.keyId}`);
    case 'broken':
      throw new JobError('SEAL_BROKEN');
    default:
      return opened satisfies never;
  }
}

function contextOf(place: Place): string {
  return JSON.stringify(['delivery', place.id, place.auth.memberId]);
}
