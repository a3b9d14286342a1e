import type { IncomingMessage, ServerResponse } from 'node:http';
import { HTTP_ERRORS } from '../shared/errors.js';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A body up to this size that was not asked for is read and thrown away, which is cheaper than a new connection. */
const DISCARD_BYTES_MAX = 65_536;
/** How long the sender may take to read an answer that came before the end of its body. */
const LINGER_MS = 1000;

/** Without Express's `send`, which would compute an etag and look at freshness for every request. */
export function answer(response: ServerResponse, { status, body, headers }: Answer): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { ...headersOf(text), ...headers });
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
  const text = JSON.stringify(early.body);
  response.writeHead(status, { ...headersOf(text), ...early.headers, connection: 'close' });
  // Not `response.end`, which destroys the socket as soon as the answer is written.
  response.write(text);
  socket.end();
  request.resume();
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

function headersOf(text: string): Record<string, string> {
  return { 'content-type': 'application/json; charset=utf-8', 'content-length': String(Buffer.byteLength(text)) };
}

function isSmall(request: IncomingMessage): boolean {
  if (request.headers['transfer-encoding'] !== undefined || request.headers.expect !== undefined) return false;
  return Number(request.headers['content-length'] ?? 0) <= DISCARD_BYTES_MAX;
}
