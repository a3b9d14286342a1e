import type { Dispatcher } from 'undici';
import { z } from 'zod';
import { JobError } from '../../errors.js';
import { fetchAnswer, type HttpAnswer } from './bounded-answer.js';
import type { HostRules } from './host-rules.js';
import {
  errorOf,
  isPassingCode,
  isPassingStatus,
  parseJson,
  suspensionOf,
  toCode,
  type SuspensionReason,
} from './rest-answer.js';

/** The OAuth server of Bitrix24: the one place that knows whose a token is, and the only one that is told the app's secret. */
export interface OAuthClient {
  /**
   * Whose an access token is. `server` is `https://<host>/rest/`, of `HostRules.oauthServer`.
   *
   * @throws {JobError} REST_HOST_REFUSED; the reason of `signal`.
   */
  appInfo(server: URL, accessToken: string, signal: AbortSignal): Promise<AppInfo>;
  /** A new pair for a refresh token, which is used up by that, also where the answer gets lost. Throws like `appInfo`. */
  renew(server: URL, refreshToken: string, signal: AbortSignal): Promise<RenewalAnswer>;
}

export type AppInfo =
  | {
      readonly kind: 'valid';
      readonly clientId: string;
      readonly memberId: string;
      readonly userId: number | null;
      readonly domain: string | null;
      /** As it came: it goes through `HostRules.portalEndpoint` before anything is sent there. */
      readonly clientEndpoint: string | null;
      readonly isInstalled: boolean;
      readonly status: string | null;
    }
  | { readonly kind: 'invalid'; readonly code: string }
  | { readonly kind: 'unavailable'; readonly code: string };

export type RenewalAnswer =
  | {
      readonly kind: 'renewed';
      readonly accessToken: string;
      readonly refreshToken: string;
      readonly memberId: string;
      readonly userId: number | null;
      /** As it came, likewise. */
      readonly clientEndpoint: string | null;
      readonly status: string | null;
    }
  /** The refresh token will never work again. */
  | { readonly kind: 'dead'; readonly code: string }
  | { readonly kind: 'suspended'; readonly code: string; readonly reason: SuspensionReason }
  | { readonly kind: 'unavailable'; readonly code: string }
  /** It is the app that is refused: its id or its secret. */
  | { readonly kind: 'refused'; readonly code: string };

export interface OAuthClientDeps {
  readonly dispatcher: Dispatcher;
  readonly rules: Pick<HostRules, 'oauthServer'>;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 15_000;

/** Bitrix24 sends the same field as a number here and as a text there. */
const ID = z.union([z.string(), z.number()]).transform(String);
const USER_ID = z.coerce.number().int().positive().nullable().catch(null);
const TEXT_OR_NULL = z.string().min(1).nullable().catch(null);
const TOKEN = z.string().min(1).max(4096);

const APP_INFO = z.object({
  result: z.object({
    client_id: z.string(),
    user_id: USER_ID,
    install: z.object({
      installed: z.union([z.boolean(), z.stringbool(), z.number().transform(Boolean)]).catch(true),
      status: TEXT_OR_NULL,
      domain: TEXT_OR_NULL,
      client_endpoint: TEXT_OR_NULL,
      member_id: ID,
    }),
  }),
});

const PAIR = z.object({
  access_token: TOKEN,
  refresh_token: TOKEN,
  member_id: ID,
  user_id: USER_ID,
  client_endpoint: TEXT_OR_NULL,
  status: TEXT_OR_NULL,
});

/** https://apidocs.bitrix24.com/settings/oauth/error-codes.html; the last two are told of an app that is no longer installed. */
const DEAD: ReadonlySet<string> = new Set(['INVALID_GRANT', 'EXPIRED_TOKEN', 'NOT_INSTALLED', 'NO_AUTH_FOUND']);

export function createOAuthClient(deps: OAuthClientDeps): OAuthClient {
  return {
    async appInfo(server, accessToken, signal) {
      const url = new URL('app.info', checked(deps, server));
      url.searchParams.set('auth', accessToken);
      return withoutSecrets(readAppInfo(await fetchAnswer({ ...bounds(deps), url, method: 'GET', signal })), [
        accessToken,
      ]);
    },
    async renew(server, refreshToken, signal) {
      const url = new URL('/oauth/token/', checked(deps, server));
      // As a form and not in the address, which the documents also allow: addresses are logged on the way.
      const body = new URLSearchParams({
        grant_type: 'refresh_token',
        client_id: deps.clientId,
        client_secret: deps.clientSecret,
        refresh_token: refreshToken,
      }).toString();
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      const answer = await fetchAnswer({ ...bounds(deps), url, method: 'POST', headers, body, signal });
      return withoutSecrets(readRenewal(answer), [refreshToken, deps.clientSecret]);
    },
  };
}

function bounds({ dispatcher, timeoutMs = TIMEOUT_MS }: OAuthClientDeps): {
  dispatcher: Dispatcher;
  timeoutMs: number;
} {
  return { dispatcher, timeoutMs };
}

function checked({ rules }: OAuthClientDeps, server: URL): URL {
  const allowed = rules.oauthServer(server.href);
  if (!allowed) throw new JobError('REST_HOST_REFUSED');
  return allowed;
}

function readAppInfo(answer: HttpAnswer): AppInfo {
  if (answer.kind === 'failed') return { kind: 'unavailable', code: answer.code };
  const body = parseJson(answer.text);
  const error = errorOf(body);
  if (error !== undefined) {
    const isUnpaid = suspensionOf(error) === 'payment';
    const isPassing = isUnpaid || isPassingStatus(answer.status) || isPassingCode(error);
    return { kind: isPassing ? 'unavailable' : 'invalid', code: toCode(error) };
  }
  const result = answer.status === 200 ? APP_INFO.safeParse(body).data?.result : undefined;
  if (!result) return { kind: 'unavailable', code: `HTTP ${answer.status}` };
  const { installed, member_id, client_endpoint, domain, status } = result.install;
  return {
    kind: 'valid',
    clientId: result.client_id,
    memberId: member_id,
    userId: result.user_id,
    domain,
    clientEndpoint: client_endpoint,
    isInstalled: installed,
    status,
  };
}

function readRenewal(answer: HttpAnswer): RenewalAnswer {
  if (answer.kind === 'failed') return { kind: 'unavailable', code: answer.code };
  const body = parseJson(answer.text);
  const error = errorOf(body);
  if (error !== undefined) return refusalOf(answer.status, error);
  const pair = answer.status === 200 ? PAIR.safeParse(body).data : undefined;
  if (!pair) return { kind: 'unavailable', code: `HTTP ${answer.status}` };
  return {
    kind: 'renewed',
    accessToken: pair.access_token,
    refreshToken: pair.refresh_token,
    memberId: pair.member_id,
    userId: pair.user_id,
    // Not `domain`: that is the OAuth server's own.
    clientEndpoint: pair.client_endpoint,
    status: pair.status,
  };
}

function refusalOf(status: number, error: string): RenewalAnswer {
  const code = toCode(error);
  const reason = suspensionOf(error);
  if (reason) return { kind: 'suspended', code, reason };
  if (DEAD.has(error.toUpperCase())) return { kind: 'dead', code };
  if (isPassingStatus(status) || isPassingCode(error)) return { kind: 'unavailable', code };
  return { kind: 'refused', code };
}

function withoutSecrets<Answer extends AppInfo | RenewalAnswer>(answer: Answer, secrets: readonly string[]): Answer {
  if (!('code' in answer)) return answer;
  return secrets.some((secret) => answer.code.includes(secret)) ? { ...answer, code: 'withheld' } : answer;
}
