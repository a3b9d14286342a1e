import type { JsonValue } from '../../shared/bitrix24/event.js';
import type { Delivery, Secrets } from '../../shared/delivery.js';

/** What an installation or an update says of itself. Anybody can post one: nothing of it is true before it is proven. */
export interface InstallationClaim {
  readonly memberId: string;
  readonly applicationToken: string;
  readonly accessToken: string;
  /** Absent in some events; then no REST call can be made once the access token has expired. */
  readonly refreshToken: string | null;
  readonly serverEndpoint: string | null;
  readonly receivedAtMs: number;
  /** Whole seconds since 1970, by the clock of the portal; by ours where it came by the page. */
  readonly ts: number;
  readonly source: 'event' | 'page';
}

const INSTALLATIONS: ReadonlySet<string> = new Set(['ONAPPINSTALL', 'ONAPPUPDATE']);

/** Whether an event of this name may bring a new application token. */
export function isInstallation(name: string): boolean {
  return INSTALLATIONS.has(name);
}

/** undefined for other events, and for one without an access token: it proves nothing. */
export function installationClaimOf(delivery: Delivery, secrets: Secrets): InstallationClaim | undefined {
  if (!isInstallation(delivery.name)) return undefined;
  const applicationToken = textIn(secrets.auth.application_token);
  const accessToken = textIn(secrets.auth.access_token);
  if (applicationToken === null || accessToken === null) return undefined;
  return {
    memberId: delivery.auth.memberId,
    applicationToken,
    accessToken,
    refreshToken: textIn(secrets.auth.refresh_token),
    serverEndpoint: delivery.auth.serverEndpoint ?? textIn(secrets.auth.server_endpoint),
    receivedAtMs: delivery.receivedAtMs,
    ts: delivery.ts,
    source: delivery.source === 'page' ? 'page' : 'event',
  };
}

function textIn(value: JsonValue | undefined): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}
