import { request, type Dispatcher } from 'undici';
import { errorCode } from '../../caught-error.js';

/** An answer that came whole, and is not larger than it may be; or what kept it from coming. */
export type HttpAnswer =
  | { readonly kind: 'answered'; readonly status: number; readonly text: string; readonly location: string | undefined }
  | { readonly kind: 'failed'; readonly code: string };

export interface HttpCall {
  readonly dispatcher: Dispatcher;
  readonly url: URL;
  readonly method: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** From the first byte sent to the last one received. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

const ANSWER_BYTES_MAX = 5 * 1_048_576;

/**
 * One request without redirects, which ends in time whatever the other side does.
 *
 * @throws the reason of `signal`, where that was aborted.
 */
export async function fetchAnswer(call: HttpCall): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(call.timeoutMs);
  try {
    const response = await request(call.url, {
      method: call.method,
      dispatcher: call.dispatcher,
      signal: AbortSignal.any([call.signal, deadline]),
      body: call.body ?? null,
      headers: { 'user-agent': 'b24-events', accept: 'application/json', ...call.headers },
    });
    const text = await readText(response.body);
    if (text === undefined) return { kind: 'failed', code: 'the answer is too large' };
    const location = [response.headers.location].flat()[0];
    return { kind: 'answered', status: response.statusCode, text, location };
  } catch (error) {
    call.signal.throwIfAborted();
    if (deadline.aborted) return { kind: 'failed', code: `no answer within ${call.timeoutMs} ms` };
    // The code alone: a message of the network may hold the address, and with it a token.
    return { kind: 'failed', code: errorCode(error) ?? 'no answer' };
  }
}

/** Leaving the loop early destroys the connection, so that nothing more is received. */
async function readText(body: AsyncIterable<Uint8Array>): Promise<string | undefined> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > ANSWER_BYTES_MAX) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
