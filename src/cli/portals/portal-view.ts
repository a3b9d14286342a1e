import { PortalRecordError } from '../../shared/portal-record.js';
import type { Portal, PortalStore } from '../../shared/portals.js';
import { isoOrNull, momentOf } from '../moment.js';
import type { OnRedis } from '../run-on-redis.js';

/** What is told of a portal: never a token, only whether there is one. */
export interface PortalView {
  readonly memberId: string;
  /** undefined where there is no record, or none that can be read. */
  readonly portal: Portal | undefined;
  /** Why its record cannot be read. */
  readonly problem: string | undefined;
  readonly isConfigured: boolean;
  /** Events that wait until it is known, and installations that wait for their proof. */
  readonly parked: number;
  /** Effects that wait until it can be called. */
  readonly waiting: number;
}

export async function viewPortal(
  memberId: string,
  { config, redis, keys, portals }: OnRedis & { readonly portals: Pick<PortalStore, 'find'> },
): Promise<PortalView> {
  const [found, waiting, ...parked] = await Promise.all([
    findReadably(memberId, portals),
    redis.zcard(keys.waitingFor(memberId)),
    ...keys.everyParkedOf(memberId).map((lot) => redis.zcard(lot)),
  ]);
  const isConfigured = config.applicationTokens.has(memberId);
  return { memberId, ...found, isConfigured, waiting, parked: parked.reduce((sum, count) => sum + count, 0) };
}

/** One record that cannot be read keeps nobody from seeing the others. */
async function findReadably(
  memberId: string,
  portals: Pick<PortalStore, 'find'>,
): Promise<Pick<PortalView, 'portal' | 'problem'>> {
  try {
    return { portal: await portals.find(memberId), problem: undefined };
  } catch (error) {
    if (!(error instanceof PortalRecordError)) throw error;
    return { portal: undefined, problem: error.message };
  }
}

export function stateOf({ portal, problem }: PortalView, nowMs: number): string {
  if (problem !== undefined) return problem;
  if (!portal) return 'known by APPLICATION_TOKENS alone: events, no REST';
  const { suspension, oauth } = portal;
  if (suspension) return `suspended (${suspension.reason}) since ${momentOf(suspension.sinceMs, nowMs)}`;
  return oauth ? 'active' : 'no OAuth tokens: events, no REST';
}

export function sourcesOf({ portal, problem, isConfigured }: PortalView): readonly string[] {
  const isRecorded = portal !== undefined || problem !== undefined;
  return [...(isRecorded ? ['installed'] : []), ...(isConfigured ? ['APPLICATION_TOKENS'] : [])];
}

export function portalJson(view: PortalView): Record<string, unknown> {
  const { memberId, portal, problem, parked, waiting } = view;
  const suspension = portal?.suspension;
  return {
    member_id: memberId,
    domain: portal?.domain ?? null,
    sources: sourcesOf(view),
    installed_or_updated_at: isoOrNull(portal?.installedAtMs ?? 0),
    last_payment_at: isoOrNull((portal?.paymentTs ?? 0) * 1000),
    suspension: suspension
      ? {
          reason: suspension.reason,
          since: isoOrNull(suspension.sinceMs),
          next_probe_at: isoOrNull(suspension.probeAtMs ?? 0),
        }
      : null,
    enterprise: portal?.isEnterprise ?? null,
    has_oauth_tokens: portal ? portal.oauth !== null : false,
    parked,
    waiting,
    problem: problem ?? null,
  };
}
