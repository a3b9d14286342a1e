import type { IncomingMessage } from 'node:http';
import { HttpError } from './http-error.js';

export type BodyFormat = 'form' | 'json';

/** @throws {HttpError} method_not_allowed for anything but a POST. */
export function requirePost(request: IncomingMessage): void {
  if (request.method !== 'POST') throw new HttpError('method_not_allowed');
}

/**
 * What the headers say of the body.
 *
 * @throws {HttpError} where the body is of a kind or a length that is not taken.
 */
export function formatOf(request: IncomingMessage, bytesMax: number): BodyFormat {
  const { 'content-type': contentType = '', 'content-encoding': encoding = 'identity' } = request.headers;
  const format = formatNamed(contentType);
  if (!format) throw new HttpError('unsupported_content_type');
  const charset = /;\s*charset\s*=\s*"?([^\s;"]*)/i.exec(contentType)?.[1];
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) throw new HttpError('unsupported_charset');
  if (encoding.trim().toLowerCase() !== 'identity') throw new HttpError('unsupported_encoding');
  if (Number(request.headers['content-length'] ?? 0) > bytesMax) throw new HttpError('body_too_large');
  return format;
}

function formatNamed(contentType: string): BodyFormat | undefined {
  const end = contentType.indexOf(';');
  switch ((end === -1 ? contentType : contentType.slice(0, end)).trim().toLowerCase()) {
    case 'application/x-www-form-urlencoded':
      return 'form';
    case 'application/json':
      return 'json';
    default:
      return undefined;
  }
}
