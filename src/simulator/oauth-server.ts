import { Router, type Request, type Response } from 'express';
import { forgetOldestItems } from './forget-oldest.js';
import { answerUnderFaults, type Faults, type JsonAnswer } from './faults.js';
import {
  APP_SCOPE,
  APP_STATUS,
  clientEndpointOf,
  serverEndpointOf,
  type Cloud,
  type PortalState,
} from './portal-state.js';
import { REST_FAULTS, RestFault, isRestFault } from './rest-fault.js';
import type { TokenState } from './token-book.js';

/** A request to the OAuth server. */
export interface OAuthCall {
  readonly path: '/oauth/token/' | '/rest/app.info';
  readonly atMs: number;
  /** null where the token is nobody's. */
  memberId: string | null;
  status: number;
  error: string | null;
}

export interface OAuthServerDeps {
  readonly cloud: Cloud;
  readonly faults: Faults;
  readonly calls: OAuthCall[];
  readonly portalOf: (memberId: string) => PortalState | undefined;
}

/** Older ones are forgotten. */
const CALLS_MAX = 100_000;

type Fields = Readonly<Record<string, unknown>>;
type Work = (deps: OAuthServerDeps, fields: Fields, call: OAuthCall) => JsonAnswer;

/** https://apidocs.bitrix24.com/settings/oauth/: renews tokens, and tells what a token is worth. */
export function createOAuthRouter(deps: OAuthServerDeps): Router {
  const router = Router();
  router.all(/^\/oauth\/token\/?$/, (request, response) =>
    serve(deps, request, { response, path: '/oauth/token/', work: renew }),
  );
  router.all(/^\/rest\/app\.info(?:\.json)?$/, (request, response) =>
    serve(deps, request, { response, path: '/rest/app.info', work: appInfo }),
  );
  return router;
}

async function serve(
  deps: OAuthServerDeps,
  request: Request,
  { response, path, work }: { response: Response; path: OAuthCall['path']; work: Work },
): Promise<void> {
  const call: OAuthCall = { path, atMs: deps.cloud.now(), memberId: null, status: 0, error: null };
  deps.calls.push(call);
  forgetOldestItems(deps.calls, CALLS_MAX);
  const fields = { ...request.query, ...(request.body as Fields | undefined) };
  await answerUnderFaults({
    faults: deps.faults,
    method: path,
    response,
    work: () => answer(deps, fields, { call, work }),
  });
  call.status = response.statusCode;
}

function answer(deps: OAuthServerDeps, fields: Fields, { call, work }: { call: OAuthCall; work: Work }): JsonAnswer {
  try {
    return work(deps, fields, call);
  } catch (error) {
    if (!isRestFault(error)) throw error;
    call.error = error.code;
    return { status: error.status, body: { error: error.code, error_description: error.description } };
  }
}

/** https://apidocs.bitrix24.com/settings/oauth/auto-renewal.html, and error-codes.html beside it. */
function renew({ cloud, portalOf }: OAuthServerDeps, fields: Fields, call: OAuthCall): JsonAnswer {
  const { grant_type: grantType, client_id: clientId, client_secret: secret, refresh_token: refreshToken } = fields;
  if (grantType !== 'refresh_token' || !clientId || !secret || typeof refreshToken !== 'string')
    throw new RestFault(400, 'invalid_request', 'A parameter is missing');
  // An unknown app is answered with 200, of all errors.
  if (clientId !== cloud.clientId) throw new RestFault(200, 'wrong_client', 'Wrong client');
  if (secret !== cloud.clientSecret) throw new RestFault(401, 'invalid_client', 'Client secret is wrong');
  const portal = requirePortal(cloud.tokens.refreshState(refreshToken), { call, portalOf });
  if (portal.faults.refusal === 'PAYMENT_REQUIRED') throw new RestFault(200, 'PAYMENT_REQUIRED', 'Payment required');
  const pair = cloud.tokens.rotate(refreshToken);
  if (!pair) throw new RestFault(400, 'invalid_grant', 'Invalid grant');
  portal.renewals += 1;
  const body = {
    access_token: pair.accessToken,
    client_endpoint: clientEndpointOf(portal),
    domain: cloud.host,
    expires: Math.floor(pair.expiresAtMs / 1000),
    expires_in: pair.expiresInSeconds,
    member_id: portal.memberId,
    refresh_token: pair.refreshToken,
    scope: APP_SCOPE,
    server_endpoint: serverEndpointOf(cloud),
    status: APP_STATUS,
    user_id: pair.owner.userId,
  };
  return { status: 200, body };
}

function requirePortal(
  token: TokenState,
  { call, portalOf }: { call: OAuthCall; portalOf: OAuthServerDeps['portalOf'] },
): PortalState {
  if (token.kind === 'unknown') throw new RestFault(400, 'invalid_grant', 'Invalid grant');
  call.memberId = token.owner.memberId;
  if (token.kind === 'revoked') throw new RestFault(401, 'NOT_INSTALLED', 'Application is not installed');
  const portal = portalOf(token.owner.memberId);
  if (!portal) throw new RestFault(404, 'NOT_FOUND', 'Portal not found');
  return portal;
}

/** What a token is worth: of which app, which portal and which person it is. */
function appInfo({ cloud, portalOf }: OAuthServerDeps, { auth }: Fields, call: OAuthCall): JsonAnswer {
  if (typeof auth !== 'string' || auth === '') throw REST_FAULTS.noAuth();
  const token = cloud.tokens.accessState(auth);
  if (token.kind === 'unknown') throw REST_FAULTS.invalidToken();
  const portal = portalOf(token.owner.memberId);
  if (portal) portal.proofs += 1;
  call.memberId = token.owner.memberId;
  if (token.kind === 'expired') throw REST_FAULTS.expiredToken();
  if (token.kind === 'revoked' || !portal) throw new RestFault(401, 'NOT_INSTALLED', 'Application is not installed');
  const install = {
    installed: portal.isInstalled,
    version: String(portal.version),
    status: APP_STATUS,
    scope: APP_SCOPE,
    domain: portal.host,
    uri: `http://${portal.host}`,
    client_endpoint: clientEndpointOf(portal),
    member_id: portal.memberId,
    member_type: 'user',
  };
  const result = {
    client_id: token.owner.clientId,
    scope: APP_SCOPE,
    expires: new Date(token.expiresAtMs).toISOString(),
    user_id: String(token.owner.userId),
    install,
  };
  return { status: 200, body: { result, time: {} } };
}
