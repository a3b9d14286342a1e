import type { Renewals } from './bitrix24/rest/renewals.js';
import type { RestBudget } from './bitrix24/rest/rest-budget.js';
import { createPortalJobs, type PortalJobsDeps } from './portal-jobs.js';

export interface ForgetPortalDeps extends PortalJobsDeps {
  readonly rest:
    { readonly budget: Pick<RestBudget, 'forget'>; readonly renewals: Pick<Renewals, 'forget'> } | undefined;
}

/**
 * Deletes what is left of a portal from which the app was removed. What still waits for it is no matter of this: it is cancelled, one
 * by one, when its turn comes. With `isClean`, by the wish of its user, its ended jobs and the state of its connectors go too.
 */
export function createForgetPortal(
  deps: ForgetPortalDeps,
): (memberId: string, options: { readonly isClean: boolean; readonly signal: AbortSignal }) => Promise<void> {
  const { redis, keys, rest } = deps;
  const jobs = createPortalJobs(deps);
  return async (memberId, { isClean, signal }) => {
    await redis.del(keys.confirmation(memberId), keys.proofUnderWay(memberId), keys.mismatchesOf(memberId));
    await rest?.budget.forget(memberId);
    await rest?.renewals.forget(memberId);
    if (!isClean) return;
    await redis.del(keys.connectors(memberId));
    await jobs.removeEnded(memberId, signal);
  };
}
