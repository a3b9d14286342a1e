import { Command } from 'commander';
import type { CommandHost } from './command-host.js';
import { environmentHelp, withJson, withPortals, type Json } from './command-options.js';
import {
  CONNECTOR_HEADING,
  connectorJson,
  connectorRow,
  viewConnectors,
  type ConnectorView,
} from './connectors/portal-connectors.js';
import { knownPortals, openPortals } from './portals/open-portals.js';
import { viewPortal, type PortalView } from './portals/portal-view.js';
import { runOnRedis, type OnRedis } from './run-on-redis.js';
import { tableLines } from './text-table.js';

export interface ConnectorsOptions extends Json {
  /** `member_id`s; all portals where there are none. */
  readonly portal: readonly string[];
}

export function connectorsCommand(host: CommandHost): Command {
  const command = new Command('connectors').description(
    'Which connectors are on, per portal and open line, as the events of the portals have told.',
  );
  return withJson(withPortals(command))
    .addHelpText('after', HELP)
    .action(async (options: ConnectorsOptions) => {
      process.exitCode = await runOnRedis('connectors', host, (parts) => listConnectors(options, parts));
    });
}

const HELP = environmentHelp({ what: 'No portal is called.', exitsWith1: 'Redis does not answer' });

type PortalConnectors = PortalView & { readonly connectors: readonly ConnectorView[] };

/** What the events of the portals have told, and B24_CONNECTORS. */
export async function listConnectors({ portal, json }: ConnectorsOptions, parts: OnRedis): Promise<number> {
  const { portals } = await openPortals(parts);
  const memberIds = portal.length > 0 ? [...new Set(portal)] : await knownPortals(parts, portals);
  const found: PortalConnectors[] = [];
  for (const memberId of memberIds) {
    parts.signal.throwIfAborted();
    const connectors = await viewConnectors(memberId, parts);
    found.push({ ...(await viewPortal(memberId, { ...parts, portals })), connectors });
  }
  if (json) parts.write(JSON.stringify({ portals: found.map(jsonOf) }));
  else tell(found, parts);
  return 0;
}

function tell(found: readonly PortalConnectors[], { write }: Pick<OnRedis, 'write'>): void {
  const nowMs = Date.now();
  const rows = found.flatMap(({ memberId, portal, connectors }) =>
    connectors.map((view) => [memberId, portal?.domain ?? '-', ...connectorRow(view, nowMs)]),
  );
  if (rows.length === 0) write('no connector is known: B24_CONNECTORS names none, and no event has spoken of one');
  else for (const line of tableLines([['MEMBER_ID', 'DOMAIN', ...CONNECTOR_HEADING], ...rows])) write(line);
}

function jsonOf({ memberId, portal, connectors }: PortalConnectors): Record<string, unknown> {
  return { member_id: memberId, domain: portal?.domain ?? null, connectors: connectors.map(connectorJson) };
}
