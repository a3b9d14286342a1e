import { CONNECTOR_HEADING, connectorJson, connectorRow, viewConnectors } from '../connectors/portal-connectors.js';
import { isoOrNull, momentOf } from '../moment.js';
import type { OnRedis } from '../run-on-redis.js';
import { plainText, tableLines } from '../text-table.js';
import { openPortals } from './open-portals.js';
import { portalJson, sourcesOf, stateOf, viewPortal, type PortalView } from './portal-view.js';

/** Gives the exit code: 1 where nothing at all is known of the portal. */
export async function showPortal(
  { memberId, json }: { readonly memberId: string; readonly json: boolean },
  parts: OnRedis,
): Promise<number> {
  const { portals } = await openPortals(parts);
  const view = await viewPortal(memberId, { ...parts, portals });
  const connectors = sourcesOf(view).length === 0 ? [] : await viewConnectors(memberId, parts);
  // Where the record cannot be read, nor can this; the view says why.
  const { removal } = await portals.look(memberId).catch(() => ({ removal: undefined }));
  const removedAtMs = removal?.receivedAtMs ?? 0;
  if (json) {
    parts.write(JSON.stringify({ ...detailsJson(view, removedAtMs), connectors: connectors.map(connectorJson) }));
  } else {
    for (const line of detailLines(view, removedAtMs)) parts.write(line);
    const nowMs = Date.now();
    const rows = connectors.map((connector) => connectorRow(connector, nowMs));
    if (rows.length > 0) for (const line of ['', ...tableLines([CONNECTOR_HEADING, ...rows])]) parts.write(line);
  }
  return sourcesOf(view).length === 0 ? 1 : 0;
}

/** Left out where there is no value. */
type Row = readonly [name: string, value: string | undefined];

function detailLines(view: PortalView, removedAtMs: number): readonly string[] {
  const nowMs = Date.now();
  const { memberId, portal, parked, waiting } = view;
  const sources = sourcesOf(view);
  const isKnown = sources.length > 0;
  const rows: readonly Row[] = [
    ['member_id', memberId],
    ['known by', isKnown ? sources.join(', ') : 'nothing: it is not installed, and has no entry in APPLICATION_TOKENS'],
    ['state', isKnown ? stateOf(view, nowMs) : undefined],
    ...(portal ? recordRows(portal, nowMs) : []),
    ['removed', removedAtMs === 0 ? undefined : momentOf(removedAtMs, nowMs)],
    ['parked', `${parked} (deliveries that wait until it is known or proven)`],
    ['waiting', `${waiting} (effects that wait until it can be called)`],
    ['bound', portal?.oauth ? 'not asked; `b24-events doctor --portal` asks the portal' : undefined],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.flatMap(([name, value]) => (value === undefined ? [] : [`${name.padEnd(width)}  ${plainText(value)}`]));
}

function recordRows(portal: NonNullable<PortalView['portal']>, nowMs: number): readonly Row[] {
  const { suspension, oauth, applicationTokens } = portal;
  const current = applicationTokens.filter(({ receivedBeforeMs }) => receivedBeforeMs === null).length;
  const probeAtMs = suspension?.probeAtMs ?? undefined;
  const nextLook = probeAtMs === undefined ? 'after an event of the portal' : momentOf(probeAtMs, nowMs);
  return [
    ['domain', portal.domain ?? '-'],
    ['REST at', portal.clientEndpoint ?? '-'],
    ['OAuth server', portal.serverEndpoint ?? '-'],
    ['installed or updated', momentOf(portal.installedAtMs, nowMs)],
    ['paid', momentOf(portal.paymentTs * 1000, nowMs)],
    ['plan', portal.isEnterprise ? 'enterprise: more REST calls a second' : 'not known as enterprise'],
    ['looked at again', suspension ? nextLook : undefined],
    ['application tokens', `${current} that holds, ${applicationTokens.length - current} for what came before`],
    ['OAuth tokens', oauth ? `of user ${oauth.userId ?? 'unknown'}` : 'none'],
  ];
}

function detailsJson(view: PortalView, removedAtMs: number): Record<string, unknown> {
  const { portal } = view;
  return {
    ...portalJson(view),
    client_endpoint: portal?.clientEndpoint ?? null,
    server_endpoint: portal?.serverEndpoint ?? null,
    oauth_user_id: portal?.oauth?.userId ?? null,
    application_tokens: portal?.applicationTokens.length ?? 0,
    removed_at: isoOrNull(removedAtMs),
  };
}
