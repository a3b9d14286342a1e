import { errorMessage } from '../../shared/caught-error.js';
import { goneWorkers } from '../../shared/live-workers.js';
import { removeProbe, type ProbeDeps } from './probe.js';
import { repeat, type Repeated } from './repeat.js';

/** Removes what workers left that ended without a word: their probe queues, and their names. One that was only cut off says so again. */
export function startSweepingGoneWorkers(
  deps: Pick<ProbeDeps, 'redis' | 'keys' | 'prefix' | 'logger'> & {
    readonly everyMs: number;
    readonly silentMs: number;
  },
): Repeated {
  return repeat(deps.everyMs, async () => {
    try {
      for (const worker of await goneWorkers(deps, deps.silentMs)) await removeProbe(deps, worker);
    } catch (error) {
      deps.logger.debug({ event: 'workers.not_swept', reason: errorMessage(error) }, 'tried again in a while');
    }
  });
}
