import type { CallAs } from '../../shared/bitrix24/rest/call-as.js';
import type { HostRules } from '../../shared/bitrix24/rest/host-rules.js';
import type { OAuthClient } from '../../shared/bitrix24/rest/oauth-client.js';
import { isYes, jsonField } from '../../shared/bitrix24/json-field.js';
import type { JsonValue } from '../../shared/bitrix24/event.js';
import { JobError } from '../../shared/errors.js';
import type { InstallationClaim } from './installation-claim.js';
import type { ProofLimits } from './proof-limits.js';

/** What Bitrix24 itself said of a portal. */
export interface ProvenFacts {
  readonly clientEndpoint: string;
  readonly serverEndpoint: string;
  readonly domain: string;
  readonly userId: number | null;
  readonly isEnterprise: boolean;
}

export type Proof =
  | { readonly kind: 'proven'; readonly facts: ProvenFacts }
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfterMs: number };

/**
 * Whether an installation is what it says it is. The OAuth server, at one of its known addresses, is asked whose the access token
 * is: our app's, of this portal; and the portal, at the address that the OAuth server gave, whether the person is an administrator.
 * No address of the payload is ever called.
 *
 * https://apidocs.bitrix24.com/api-reference/events/safe-event-handlers.html
 */
export interface Prover {
  prove(claim: InstallationClaim, signal: AbortSignal): Promise<Proof>;
}

/** Proofs that one process makes at a time: each may hang for as long as the OAuth server does, in a slot of the deliveries. */
const PROOFS_AT_A_TIME = 8;
/** An installation is finished by a page in somebody's browser, after we were told of it. */
const FINISHED_WITHIN_MS = 1_800_000;
const FINISHED_LOOK_MS = 5000;

export interface ProverDeps {
  readonly clientId: string;
  readonly rules: HostRules;
  readonly oauth: Pick<OAuthClient, 'appInfo'>;
  readonly callAs: CallAs;
  readonly limits: ProofLimits;
  readonly now: () => number;
}

const UNAVAILABLE_MS = 15_000;
const BUSY_MS = 2000;

export function createProver(deps: ProverDeps): Prover {
  let underWay = 0;
  return {
    async prove(claim, signal) {
      if (underWay >= PROOFS_AT_A_TIME) return unavailable('other installations are being proven', BUSY_MS);
      underWay += 1;
      try {
        return await proveOne(deps, claim, signal);
      } finally {
        underWay -= 1;
      }
    },
  };
}

async function proveOne(deps: ProverDeps, claim: InstallationClaim, signal: AbortSignal): Promise<Proof> {
  const server = deps.rules.oauthServer(claim.serverEndpoint);
  if (!server) return refused('server_endpoint is none of the known OAuth servers');
  const waitMs = await deps.limits.take(claim);
  if (waitMs > 0) return unavailable('many installations are being proven', waitMs);
  const info = await deps.oauth.appInfo(server, claim.accessToken, signal);
  switch (info.kind) {
    case 'unavailable':
      return unavailable(`the OAuth server: ${info.code}`, UNAVAILABLE_MS);
    case 'invalid':
      return refused(`the OAuth server: ${info.code}`);
    case 'valid':
      return check(deps, claim, { info, server, signal });
    default:
      return info satisfies never;
  }
}

interface Checked {
  readonly info: Extract<Awaited<ReturnType<OAuthClient['appInfo']>>, { kind: 'valid' }>;
  readonly server: URL;
  readonly signal: AbortSignal;
}

async function check(deps: ProverDeps, claim: InstallationClaim, { info, server, signal }: Checked): Promise<Proof> {
  if (info.clientId !== deps.clientId) return refused("the access token is another app's");
  if (info.memberId !== claim.memberId) return refused("the access token is another portal's");
  if (!info.isInstalled) return notFinished(deps, claim);
  const endpoint = deps.rules.portalEndpoint(info.clientEndpoint);
  if (!endpoint) return refused('its address is no portal of the cloud, and not in B24_PORTAL_HOSTS');
  try {
    const call = { endpoint, accessToken: claim.accessToken, params: {}, signal };
    const profile = await deps.callAs({ ...call, method: 'profile' });
    if (!isYes(jsonField(profile, 'ADMIN'))) return refused('the person is not an administrator of the portal');
    const licence = await deps.callAs({ ...call, method: 'app.info' }).catch(() => null);
    return {
      kind: 'proven',
      facts: {
        clientEndpoint: endpoint.href,
        serverEndpoint: server.href,
        domain: endpoint.host,
        userId: info.userId,
        isEnterprise: isEnterprise(jsonField(licence, 'LICENSE')),
      },
    };
  } catch (error) {
    return ofError(error);
  }
}

function ofError(error: unknown): Proof {
  if (!(error instanceof JobError)) throw error;
  if (error.verdict === 'never') return refused(`the portal: ${error.detail ?? error.code}`);
  const retryAfterMs = error.retryAfterMs ?? UNAVAILABLE_MS;
  return unavailable(`the portal: ${error.detail ?? error.code}`, retryAfterMs);
}

function notFinished({ now }: ProverDeps, { receivedAtMs }: InstallationClaim): Proof {
  if (now() > receivedAtMs + FINISHED_WITHIN_MS) return refused('the app is not installed there');
  return unavailable('the installation is not finished there', FINISHED_LOOK_MS);
}

function unavailable(reason: string, retryAfterMs: number): Proof {
  return { kind: 'unavailable', reason, retryAfterMs };
}

function refused(reason: string): Proof {
  return { kind: 'refused', reason };
}

/** `ru_ent250`, `en_enterprise`: the plan stands behind the zone. Only a guess: where it is wrong the portal says so itself. */
function isEnterprise(licence: JsonValue | undefined): boolean {
  return typeof licence === 'string' && /(?:^|_)ent/i.test(licence);
}
