import { createConnectorStates, type ConnectorLine } from '../../shared/connector-states.js';
import { isoOrNull, momentOf } from '../moment.js';
import type { OnRedis } from '../run-on-redis.js';

/** One line of what is known of a portal's connectors. */
export interface ConnectorView {
  /** null: all that the portal has. */
  readonly connector: string | null;
  /** null: all open lines. */
  readonly line: number | null;
  readonly state: 'on' | 'off';
  /** In whole seconds; 0 where no event has said it. */
  readonly sinceTs: number;
  readonly isConfigured: boolean;
}

/** What the events of a portal have told of its connectors; of B24_CONNECTORS also those of which none has spoken. */
export async function viewConnectors(
  memberId: string,
  { config, redis, keys }: Pick<OnRedis, 'config' | 'redis' | 'keys'>,
): Promise<readonly ConnectorView[]> {
  const told = await createConnectorStates({ redis, keys }).linesOf(memberId);
  const configured = config.b24Connectors.map(({ id }) => id.toLowerCase());
  const isOffEverywhere = told.some(({ connector, line, state }) => !connector && line === null && state === 'off');
  const untold = isOffEverywhere ? [] : configured.filter((id) => !told.some(({ connector }) => connector === id));
  return [
    ...told.map((line) => ({ ...line, isConfigured: line.connector !== null && configured.includes(line.connector) })),
    // One that no event has spoken of counts as on: it was switched on before the app listened.
    ...untold.map((connector) => ({ connector, line: null, state: 'on' as const, sinceTs: 0, isConfigured: true })),
  ].toSorted(byName);
}

function byName(a: Pick<ConnectorLine, 'connector' | 'line'>, b: Pick<ConnectorLine, 'connector' | 'line'>): number {
  return (a.connector ?? '').localeCompare(b.connector ?? '') || (a.line ?? 0) - (b.line ?? 0);
}

export function connectorRow(
  { connector, line, state, sinceTs, isConfigured }: ConnectorView,
  nowMs: number,
): string[] {
  return [
    connector ?? 'all',
    line === null ? 'all' : String(line),
    state,
    sinceTs === 0 ? 'no event has said so' : momentOf(sinceTs * 1000, nowMs),
    isConfigured ? 'yes' : '-',
  ];
}

export const CONNECTOR_HEADING = ['CONNECTOR', 'LINE', 'STATE', 'SINCE', 'IN B24_CONNECTORS'];

export function connectorJson({
  connector,
  line,
  state,
  sinceTs,
  isConfigured,
}: ConnectorView): Record<string, unknown> {
  return { connector, line, state, since: isoOrNull(sinceTs * 1000), configured: isConfigured };
}
