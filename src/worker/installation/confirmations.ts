import { randomBytes } from 'node:crypto';
import type { Keys } from '../../shared/keys.js';
import type { Redis } from '../../shared/redis.js';
import type { Sealer } from '../../shared/sealer.js';
import type { InstallationClaim } from './installation-claim.js';
import type { ProvenFacts } from './prover.js';

/**
 * A new application token of a portal that is known already, between its proof and its confirmation.
 *
 * The proof says that an administrator's access token came with it, and no more: one who has got hold of such a token could put an
 * application token of his own beside it. So the portal is asked by REST to send an event that carries a nonce; that event brings
 * the token that the portal itself uses.
 */
export interface Confirmation {
  /** The delivery that claims the token. */
  readonly deliveryId: string;
  readonly claim: InstallationClaim;
  readonly facts: ProvenFacts;
  readonly nonce: string;
  readonly endsAtMs: number;
}

export interface Confirmations {
  /** Answers what is pending for this portal: the new one, or an older one that must end first. */
  begin(start: Pick<Confirmation, 'deliveryId' | 'claim' | 'facts'>): Promise<Confirmation>;
  find(memberId: string): Promise<Confirmation | undefined>;
  end(memberId: string): Promise<void>;
  /** A proof goes on for a while: what came of this portal waits for its end. */
  noteProof(memberId: string): Promise<void>;
  /** Whether something is being proven or confirmed that could make an event of this portal a good one. */
  isUndecided(memberId: string): Promise<boolean>;
}

export interface ConfirmationsDeps {
  readonly redis: Redis;
  readonly keys: Keys;
  readonly sealer: Sealer;
  readonly now: () => number;
  /** How long a portal may take to confirm. */
  readonly confirmMs?: number;
}

const CONFIRM_MS = 300_000;
/** After its end it is kept, so that its delivery learns of it. */
const KEPT_MS = 3_600_000;
/** Longer than the time between two looks at a parked delivery. */
const PROOF_NOTED_SECONDS = 90;

export function createConfirmations(deps: ConfirmationsDeps): Confirmations {
  const { redis, keys, sealer } = deps;
  const find = async (memberId: string): Promise<Confirmation | undefined> => {
    const seal = await redis.get(keys.confirmation(memberId));
    if (seal === null) return undefined;
    const opened = sealer.open(seal, contextOf(memberId));
    if (opened.status !== 'opened')
      throw new Error(`the confirmation of ${memberId} cannot be opened: ${opened.status}`);
    // The seal authenticates what this program wrote.
    return JSON.parse(opened.plain) as Confirmation;
  };
  return {
    find,
    async begin({ deliveryId, claim, facts }) {
      const { memberId } = claim;
      const confirmMs = deps.confirmMs ?? CONFIRM_MS;
      const nonce = randomBytes(24).toString('hex');
      const begun: Confirmation = { deliveryId, claim, facts, nonce, endsAtMs: deps.now() + confirmMs };
      const seal = sealer.seal(JSON.stringify(begun), contextOf(memberId));
      const isFirst = await redis.set(keys.confirmation(memberId), seal, 'PX', confirmMs + KEPT_MS, 'NX');
      return isFirst ? begun : ((await find(memberId)) ?? begun);
    },
    async end(memberId) {
      await redis.del(keys.confirmation(memberId), keys.proofUnderWay(memberId));
    },
    async noteProof(memberId) {
      await redis.set(keys.proofUnderWay(memberId), '1', 'EX', PROOF_NOTED_SECONDS);
    },
    async isUndecided(memberId) {
      if ((await redis.exists(keys.proofUnderWay(memberId))) === 1) return true;
      const pending = await find(memberId);
      return pending !== undefined && deps.now() < pending.endsAtMs;
    },
  };
}

function contextOf(memberId: string): string {
  return JSON.stringify(['confirmation', memberId]);
}
