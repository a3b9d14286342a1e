import { errorMessage } from '../shared/caught-error.js';
import type { Logger } from '../shared/logger.js';
import type { PortalStore } from '../shared/portals.js';
import type { Redis } from '../shared/redis.js';
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
  const restore = (): void => void told(deps, 'tokens.not_restored', async () => deps.rest?.renewals.restore());
  deps.redis.on('ready', restore);
  restore();
  void told(deps, 'portals.not_resealed', () => resealAll(deps));
  return { stop: () => deps.redis.off('ready', restore) };
}

async function resealAll({ portals, logger }: UpkeepDeps): Promise<void> {
  let resealed = 0;
  for (const memberId of await portals.all()) resealed += (await portals.reseal(memberId)) ? 1 : 0;
  if (resealed > 0) logger.info({ event: 'portals.resealed', count: resealed }, 'sealed anew with the current key');
}

async function told({ logger }: UpkeepDeps, event: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    logger.warn({ event, reason: errorMessage(error) }, 'tried again at the next start, or when Redis is back');
  }
}
