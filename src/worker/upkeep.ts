import { errorMessage } from '../shared/caught-error.js';
import type { Logger } from '../shared/logger.js';
import type { PortalStore } from '../shared/portals.js';
import { onRedisBack, type Redis } from '../shared/redis.js';
import type { RestStack } from '../shared/rest-stack.js';

export interface UpkeepDeps {
  readonly redis: Redis;
  readonly portals: Pick<PortalStore, 'all' | 'reseal'>;
  readonly rest: Pick<RestStack, 'renewals'> | undefined;
  readonly logger: Logger;
}

/**
 * What is put right beside the jobs: at the start every record that an earlier key sealed is sealed anew; then, and whenever the
 * connection to Redis is back, renewed tokens that Redis has forgotten are put back.
 */
export function startUpkeep(deps: UpkeepDeps): { stop(): void } {
  // It tells of its own failures, and rejects for none of them.
  const restore = (): void => void deps.rest?.renewals.restore();
  const stopListening = onRedisBack(deps.redis, restore);
  restore();
  void resealAll(deps);
  return { stop: stopListening };
}

async function resealAll({ portals, logger }: UpkeepDeps): Promise<void> {
  try {
    let resealed = 0;
    for (const memberId of await portals.all()) resealed += (await resealOne({ portals, logger }, memberId)) ? 1 : 0;
    if (resealed > 0) logger.info({ event: 'portals.resealed', count: resealed }, 'sealed anew with the current key');
  } catch (error) {
    logger.warn({ event: 'portals.not_resealed', reason: errorMessage(error) }, 'tried again at the next start');
  }
}

/** A record that cannot be opened keeps no other from being sealed anew. */
async function resealOne(
  { portals, logger }: Pick<UpkeepDeps, 'portals' | 'logger'>,
  memberId: string,
): Promise<boolean> {
  try {
    return await portals.reseal(memberId);
  } catch (error) {
    const line = { event: 'portal.not_resealed', memberId, reason: errorMessage(error) };
    logger.error(line, 'its record stays sealed with an earlier key: look at SECRET_KEY and SECRET_KEY_PREVIOUS');
    return false;
  }
}
