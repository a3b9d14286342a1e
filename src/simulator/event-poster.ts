import { Agent, request } from 'undici';
import { errorMessage } from '../shared/caught-error.js';

/** What a POST came to: an answer, or the reason why there is none. */
export type Posted =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: Readonly<Record<string, string | string[] | undefined>>;
      readonly body: string;
    }
  | { readonly kind: 'unanswered'; readonly reason: string };

export interface Post {
  readonly url: string;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const FORM = 'application/x-www-form-urlencoded';
/** As the servers of the cloud name themselves. */
const USER_AGENT = 'Bitrix24 Webhook Engine';
const TIMEOUT_MS = 30_000;
const CONNECTIONS_MAX = 64;
/** A larger answer counts as none. */
const ANSWER_BYTES_MAX = 1_048_576;

/** Posts to the app over connections that are kept, each within half a minute. Nothing is repeated here. */
export class EventPoster {
  readonly #agent = new Agent({
    connections: CONNECTIONS_MAX,
    connectTimeout: TIMEOUT_MS,
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    maxResponseSize: ANSWER_BYTES_MAX,
  });

  async post({ url, body, headers = {} }: Post): Promise<Posted> {
    try {
      const answer = await request(url, {
        method: 'POST',
        body,
        headers: { 'content-type': FORM, 'user-agent': USER_AGENT, ...headers },
        dispatcher: this.#agent,
        signal: AbortSignal.timeout(TIMEOUT_MS),
      });
      const text = await answer.body.text();
      return { kind: 'answered', status: answer.statusCode, headers: answer.headers, body: text };
    } catch (error) {
      return { kind: 'unanswered', reason: errorMessage(error) };
    }
  }

  /** What is still under way counts as unanswered. */
  close(): Promise<void> {
    return this.#agent.destroy();
  }
}

export function wasAccepted(posted: Posted): boolean {
  return posted.kind === 'answered' && posted.status >= 200 && posted.status < 300;
}
