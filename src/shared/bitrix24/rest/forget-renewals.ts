import type { Keys } from '../../keys.js';
import type { Redis } from '../../redis.js';
import type { Sealer } from '../../sealer.js';
import { createRenewalFiles } from './renewal-files.js';

export interface ForgetRenewalsDeps {
  readonly redis: Redis;
  readonly keys: Pick<Keys, 'renewalLock'>;
  readonly sealer: Sealer;
  readonly dataDir: string;
}

/** Removes what is kept of a portal for the renewal of its tokens; also where this process could renew none. */
export function createForgetRenewals({
  redis,
  keys,
  sealer,
  dataDir,
}: ForgetRenewalsDeps): (memberId: string) => Promise<void> {
  const files = createRenewalFiles(dataDir, sealer, Date.now);
  return async (memberId) => {
    await files.remove(memberId);
    await redis.unlink(keys.renewalLock(memberId));
  };
}
