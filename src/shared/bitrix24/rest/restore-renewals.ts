import { errorMessage } from '../../caught-error.js';
import type { Logger } from '../../logger.js';
import type { PortalStore } from '../../portals.js';
import type { RenewalFile, RenewalFiles } from './renewal-files.js';
import { isNewer, type RenewalRecords } from './renewal-records.js';

export interface RestoreRenewalsDeps {
  readonly files: RenewalFiles;
  readonly records: RenewalRecords;
  readonly portals: PortalStore;
  readonly logger: Logger;
  readonly now: () => number;
}

/** How long Redis may take to make a record safe. */
const KEPT_MS = 3_600_000;
/**
 * A missing record alone may be a Redis that is being put back, so its file stays for so long. A removal that is still remembered
 * (EFFECT_AGE_SECONDS_MAX and KEEP_FAILED_SECONDS, 21 days by default) ends that at once.
 */
const ORPHAN_MS = 30 * 86_400_000;

/** Puts every pair that is newer than that of its record into it, and removes the files that are of no more use. */
export async function restoreRenewals(deps: RestoreRenewalsDeps): Promise<void> {
  const failed = (error: unknown, memberId?: string): void => {
    const line = { event: 'renewal.not_restored', memberId, reason: errorMessage(error) };
    deps.logger.error(line, 'tokens that are kept in DATA_DIR cannot be put back');
  };
  try {
    // One that fails must not keep the others from their records.
    for await (const file of deps.files.all())
      await restoreOne(deps, file).catch((error: unknown) => failed(error, file.memberId));
  } catch (error) {
    failed(error);
  }
}

async function restoreOne(deps: RestoreRenewalsDeps, file: RenewalFile): Promise<void> {
  const { memberId, pair } = file;
  const ageMs = deps.now() - file.writtenAtMs;
  const { portal, removal } = await deps.portals.look(memberId);
  if (!portal) {
    if (removal || ageMs > ORPHAN_MS) await deps.files.remove(memberId);
    return;
  }
  if (pair && isNewer(pair, portal)) {
    await deps.records.save(pair);
    deps.logger.warn({ event: 'portal.tokens_restored', memberId }, 'Redis had lost the newest tokens');
    return;
  }
  // One that cannot be opened may be opened later, by a process that has its key; it is kept while it may be needed.
  const isOfUse = pair === undefined && file.generation > (portal.oauth?.generation ?? 0);
  if (ageMs > KEPT_MS && !isOfUse) await deps.files.remove(memberId);
}
