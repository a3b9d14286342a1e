import type { Dispatcher } from 'undici';
import { JobError } from '../../errors.js';
import { fetchAnswer } from './bounded-answer.js';
import type { HostRules } from './host-rules.js';
import { HOST_REFUSED } from './outbound.js';
import type { RestParams } from './portal-calls.js';
import { readRestAnswer, type RestReply } from './rest-answer.js';

/** One POST to a portal, and what its answer means. Nothing is repeated here. */
export interface RestTransport {
  /** @throws {JobError} REST_HOST_REFUSED, REST_REFUSED for what is not a method; the reason of `signal`. */
  post(call: RestCall): Promise<RestReply>;
}

export interface RestCall {
  /** `https://<host>/rest/` */
  readonly endpoint: URL;
  readonly method: string;
  readonly params: RestParams;
  readonly accessToken: string;
  readonly signal: AbortSignal;
}

export interface RestTransportDeps {
  readonly dispatcher: Dispatcher;
  readonly rules: Pick<HostRules, 'portalEndpoint'>;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 25_000;
/** No dots side by side: a method becomes the end of a path. */
const METHOD = /^(?=.{1,128}$)[a-zA-Z0-9_]+(?:\.[a-zA-Z0-9_]+)*$/;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 307, 308]);

export function createRestTransport({ dispatcher, rules, timeoutMs = TIMEOUT_MS }: RestTransportDeps): RestTransport {
  return {
    async post({ endpoint, method, params, accessToken, signal }) {
      if (!METHOD.test(method)) throw new JobError('REST_REFUSED', 'not the name of a method');
      if (rules.portalEndpoint(endpoint.href)?.href !== endpoint.href) throw new JobError('REST_HOST_REFUSED');
      // In the body, because addresses are logged on the way.
      const body = JSON.stringify({ ...params, auth: accessToken });
      const headers = { 'content-type': 'application/json' };
      const url = new URL(method, endpoint);
      const answer = await fetchAnswer({ dispatcher, url, method: 'POST', headers, body, timeoutMs, signal });
      if (answer.kind === 'failed')
        return { kind: answer.code === HOST_REFUSED ? 'host-refused' : 'unreachable', code: answer.code };
      if (REDIRECTS.has(answer.status)) return { kind: 'moved', location: answer.location ?? '' };
      return withoutToken(readRestAnswer(answer.status, answer.text), accessToken);
    },
  };
}

/** The code goes into logs and reasons, and it is the portal that chose it. */
function withoutToken(reply: RestReply, accessToken: string): RestReply {
  return 'code' in reply && reply.code.includes(accessToken) ? { ...reply, code: 'withheld' } : reply;
}
