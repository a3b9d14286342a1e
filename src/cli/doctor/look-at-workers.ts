import type { Keys } from '../../shared/keys.js';
import { liveWorkers } from '../../shared/live-workers.js';
import type { Redis } from '../../shared/redis.js';
import { ok, warn, type Finding } from './finding.js';
import type { Look } from './look.js';

/** On whatever machines they run. */
export function lookAtWorkers(redis: Redis, keys: Keys): Look {
  const look = async (): Promise<Finding> => {
    const workers = await liveWorkers({ redis, keys });
    if (workers.length > 0) return ok('workers', `${workers.length} on this Redis`);
    return warn(
      'workers',
      'none has told Redis of itself lately (one of an older release does not)',
      'start one, if none runs: nothing is done about events until then',
    );
  };
  return { name: 'workers', advice: 'look at Redis', look };
}
