import { momentOf } from '../moment.js';
import type { OnRedis } from '../run-on-redis.js';
import { tableLines } from '../text-table.js';
import { ANY_PORTAL, knownPortals, openPortals } from './open-portals.js';
import { portalJson, sourcesOf, stateOf, viewPortal, type PortalView } from './portal-view.js';

/** Few enough at a time that Redis has time for others. */
const PAGE = 50;

export async function listPortals({ json }: { readonly json: boolean }, parts: OnRedis): Promise<number> {
  const { portals } = await openPortals(parts);
  const memberIds = await knownPortals(parts, portals);
  const views: PortalView[] = [];
  for (let first = 0; first < memberIds.length; first += PAGE) {
    parts.signal.throwIfAborted();
    const page = memberIds.slice(first, first + PAGE);
    views.push(...(await Promise.all(page.map((memberId) => viewPortal(memberId, { ...parts, portals })))));
  }
  const isAnyConfigured = parts.config.applicationTokens.has(ANY_PORTAL);
  if (json) parts.write(JSON.stringify({ portals: views.map(portalJson), any_other_is_believed: isAnyConfigured }));
  else tell(views, isAnyConfigured, parts);
  return 0;
}

function tell(views: readonly PortalView[], isAnyConfigured: boolean, { write }: Pick<OnRedis, 'write'>): void {
  const nowMs = Date.now();
  if (views.length === 0) write('no portal is known: none is installed, and APPLICATION_TOKENS names none');
  else for (const line of tableLines([HEADING, ...views.map((view) => rowOf(view, nowMs))])) write(line);
  if (isAnyConfigured) write('any other portal is believed that has the token of the entry * in APPLICATION_TOKENS');
}

const HEADING = [
  'MEMBER_ID',
  'DOMAIN',
  'INSTALLED OR UPDATED',
  'PAID',
  'PLAN',
  'PARKED',
  'WAITING',
  'KNOWN BY',
  'STATE',
];

function rowOf(view: PortalView, nowMs: number): readonly string[] {
  const { memberId, portal, parked, waiting } = view;
  return [
    memberId,
    portal?.domain ?? '-',
    portal ? momentOf(portal.installedAtMs, nowMs) : '-',
    portal ? momentOf(portal.paymentTs * 1000, nowMs) : '-',
    portal?.isEnterprise === true ? 'enterprise' : '-',
    String(parked),
    String(waiting),
    sourcesOf(view).join(', '),
    stateOf(view, nowMs),
  ];
}
