import { createEchoes } from '../../shared/echoes.js';
import { createHandledEvents } from '../../shared/handled-events.js';
import { portalPlanOf, type PortalPlan } from '../../shared/portal-setup.js';
import { createPortalStore, type PortalStore } from '../../shared/portals.js';
import type { Config } from '../../shared/config.js';
import type { Keys } from '../../shared/keys.js';
import type { Logger } from '../../shared/logger.js';
import type { Redis } from '../../shared/redis.js';
import { buildRest } from '../../shared/rest-stack.js';
import { createSealer } from '../../shared/sealer.js';
import { findSecretKeys } from '../../shared/secret-keys.js';
import { errorMessage } from '../../shared/caught-error.js';
import { withTimeLimit } from '../../shared/time-limit.js';
import { fail, ok, warn, type Finding } from './finding.js';
import { lookAtPortal, type PortalLook } from './look-at-portal.js';

export interface PortalsDeps {
  readonly config: Config;
  readonly redis: Redis;
  readonly keys: Keys;
  readonly logger: Logger;
  /** Only this one; without it as many as there are, up to a bound. */
  readonly memberId: string | undefined;
  readonly echoTimeoutMs: number;
  readonly signal: AbortSignal;
}

/** Each costs some calls of its budget, and up to half a minute. */
const PORTALS_MAX = 20;
const AT_ONCE = 5;
const LIST_TIMEOUT_MS = 5000;

/** What the portals say: their tokens, where their events go, and whether those come back to us. */
export async function lookAtPortals(deps: PortalsDeps): Promise<readonly Finding[]> {
  const { config, memberId } = deps;
  const configured = [...config.applicationTokens.keys()].filter((name) => name !== '*').length;
  const byTokens =
    configured === 0
      ? []
      : [ok('configured', `${configured} by APPLICATION_TOKENS, which is all that can be said of them here`)];
  if (config.b24ClientId === undefined)
    return memberId === undefined ? byTokens : [...byTokens, ...lookAtToken(memberId, config)];
  try {
    return [...byTokens, ...(await lookAtInstalled(deps))];
  } catch (error) {
    return [...byTokens, fail('installed', errorMessage(error), 'look at Redis')];
  }
}

/** Of the portal of `--portal`, where no app is known by which portals install it. */
function lookAtToken(memberId: string, { applicationTokens }: Config): readonly Finding[] {
  if (applicationTokens.has(memberId) || applicationTokens.has('*')) return [];
  const found = 'not known: APPLICATION_TOKENS does not name it, and B24_CLIENT_ID is not given to this command';
  return [
    { ...fail('record', found, 'correct --portal, or give this command the variables of the processes'), memberId },
  ];
}

async function lookAtInstalled(deps: PortalsDeps): Promise<readonly Finding[]> {
  const { config, redis, keys, logger, signal, echoTimeoutMs } = deps;
  const secretKeys = await findSecretKeys(config);
  if (!secretKeys) return [fail('installed', 'their records cannot be opened without the key', 'see the group key')];
  const sealer = createSealer(secretKeys);
  const portals = createPortalStore({ redis, keys, sealer, prefix: config.queuePrefix });
  const { chosen, finding } = await withTimeLimit(choose(portals, deps.memberId), LIST_TIMEOUT_MS, 'the list of them');
  const stack = buildRest(config, { redis, keys, sealer, portals, logger });
  if (!stack) return [finding];
  const plan = await planOf(deps);
  try {
    const look = { portals, rest: stack.rest, plan, echoes: createEchoes({ redis, keys }), signal, echoTimeoutMs };
    return [finding, ...(await lookAtEach(chosen, look))];
  } finally {
    await stack.close();
  }
}

async function planOf({ config, redis, keys }: PortalsDeps): Promise<PortalPlan | undefined> {
  const handled = await withTimeLimit(createHandledEvents({ redis, keys }).all(), LIST_TIMEOUT_MS, 'the events');
  return portalPlanOf(config, handled);
}

async function choose(
  portals: PortalStore,
  memberId: string | undefined,
): Promise<{ readonly chosen: readonly string[]; readonly finding: Finding }> {
  if (memberId !== undefined) return { chosen: [memberId], finding: ok('installed', 'only the one of --portal') };
  const all = await portals.all();
  const chosen = all.toSorted().slice(0, PORTALS_MAX);
  if (all.length === 0)
    return { chosen, finding: warn('installed', 'none', 'install the app in a portal (docs/portals.md)') };
  const rest =
    all.length > PORTALS_MAX ? `; the first ${PORTALS_MAX} are looked at, others by --portal <member_id>` : '';
  return { chosen, finding: ok('installed', `${all.length}${rest}`) };
}

/** Several at a time, told in their order. */
async function lookAtEach(memberIds: readonly string[], look: PortalLook): Promise<readonly Finding[]> {
  const findings = new Map<string, readonly Finding[]>();
  const waiting = memberIds.values();
  const lane = async (): Promise<void> => {
    for (const memberId of waiting) {
      if (look.signal.aborted) return;
      findings.set(memberId, await lookAtPortal(memberId, look));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return memberIds.flatMap((memberId) => findings.get(memberId) ?? []);
}
