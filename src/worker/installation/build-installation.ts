import type { Config } from '../../shared/config.js';
import type { Keys } from '../../shared/keys.js';
import type { Logger } from '../../shared/logger.js';
import type { PortalStore } from '../../shared/portals.js';
import type { RejectedQueue } from '../../shared/queues.js';
import type { Redis } from '../../shared/redis.js';
import type { RestStack } from '../../shared/rest-stack.js';
import type { Sealer } from '../../shared/sealer.js';
import { createConfirmations } from './confirmations.js';
import { PortalInstaller, type Installer } from './installer.js';
import { createMismatches, type Mismatches } from './mismatches.js';
import { createProofLimits } from './proof-limits.js';
import { createProver } from './prover.js';

export interface InstallationParts {
  readonly installer: Installer;
  readonly mismatches: Pick<Mismatches, 'note'>;
  /** Whether something is being proven or confirmed for this portal. */
  isUndecided(memberId: string): Promise<boolean>;
}

export interface InstallationDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly sealer: Sealer;
  readonly portals: PortalStore;
  readonly rejectedQueue: RejectedQueue;
  readonly rest: RestStack;
  readonly logger: Logger;
}

/** All that makes portals known; needs the app's own credentials. */
export function buildInstallation(config: Config, deps: InstallationDeps): InstallationParts {
  const { portals, logger, rest } = deps;
  const now = Date.now;
  const confirmations = createConfirmations({ ...deps, now });
  const mismatches = createMismatches({ ...deps, queue: deps.rejectedQueue, now });
  const prover = createProver({ ...rest, limits: createProofLimits(deps), now });
  const installer = new PortalInstaller({
    portals,
    confirmations,
    mismatches,
    prover,
    callAs: rest.callAs,
    isConfigured: (memberId) => config.applicationTokens.has(memberId),
    eventsUrl: config.publicUrl === undefined ? undefined : config.publicUrl + config.eventsPath,
    logger,
    now,
  });
  return { installer, mismatches, isUndecided: (memberId) => confirmations.isUndecided(memberId) };
}
