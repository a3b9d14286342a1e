import type { IncomingMessage, ServerResponse } from 'node:http';
import { HTTP_ERRORS } from '../shared/errors.js';

/** `body` goes out as JSON, `html` as it is. */
export type Answer = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
} & ({ readonly body: unknown } | { readonly html: string });

/** A body up to this size that was not asked for is read and thrown away, which is cheaper than a new connection. */
const DISCARD_BYTES_MAX = 65_536;
/** How long the sender may take to read an answer that came before the end of its body. */
const LINGER_MS = 1000;

/** Without Express's `send`, which would compute an etag and look at freshness for every request. */
export function answer(response: ServerResponse, whole: Answer): void {
  const text = textOf(whole);
  response.writeHead(whole.status, headersOf(whole, text));
  response.end(text);
}

/**
 * Answers a request whose body may still be under way. If much of it may come, the connection ends with the answer.
 *
 * It cannot simply be destroyed: a socket that is closed with unread bytes in it sends a reset, and that makes the sender's
 * system throw away what it has not read yet, the answer included. So our side is closed first, and what still comes is read
 * and thrown away, until the sender closes its own side or a second is over.
 */
export function answerEarly(request: IncomingMessage, response: ServerResponse, early: Answer): void {
  const { socket } = response;
  const { status } = early;
  if (request.complete || !socket || (isSmall(request) && status !== HTTP_ERRORS.body_too_large.status)) {
    answer(response, early);
    return;
  }
  const text = textOf(early);
  response.writeHead(status, { ...headersOf(early, text), connection: 'close' });
  // Not `response.end`, which destroys the socket as soon as the answer is written.
  response.write(text);
  socket.end();
  request.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

function textOf(whole: Answer): string {
  return 'html' in whole ? whole.html : JSON.stringify(whole.body);
}

function headersOf(whole: Answer, text: string): Record<string, string> {
  const type = 'html' in whole ? 'text/html' : 'application/json';
  const length = String(Buffer.byteLength(text));
  return { 'content-type': `${type}; charset=utf-8`, 'content-length': length, ...whole.headers };
}

function isSmall(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined || request.headers.expect !== undefined) return false;
  return Number(request.headers['content-length'] ?? 0) <= DISCARD_BYTES_MAX;
}
