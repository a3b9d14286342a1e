import { request, type Agent } from 'undici';
import { errorCode, errorMessage } from '../../shared/caught-error.js';
import { urlHost } from '../../shared/url-host.js';
import { fail, type Finding } from './finding.js';

/** What answers at an address. */
export type HttpLook =
  | { readonly kind: 'answered'; readonly status: number; readonly body: string }
  /** Nothing listens there. */
  | { readonly kind: 'refused' }
  /** Something takes connections, or drops what is sent to it, and no answer came in time. */
  | { readonly kind: 'silent' }
  /** There is no connection, or something on it that does not speak HTTP. */
  | { readonly kind: 'unclear'; readonly reason: string };

/** Of a server of ours; `host` is what it listens on. */
export function httpAddress(host: string, port: number): string {
  return `http://${urlHost(host)}:${port}`;
}

const TIMEOUT_MS = 2500;
/** More than any of our own answers. */
const BODY_BYTES_MAX = 65_536;

/** Asks once, and follows nothing; never throws. */
export async function lookByHttp(url: string, dispatcher: Agent): Promise<HttpLook> {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const answer = await request(url, { dispatcher, signal: limit });
    return { kind: 'answered', status: answer.statusCode, body: await headOf(answer.body) };
  } catch (error) {
    if (errorCode(error) === 'ECONNREFUSED') return { kind: 'refused' };
    if (limit.aborted || errorCode(error) === 'UND_ERR_CONNECT_TIMEOUT') return { kind: 'silent' };
    const reason = errorCode(error) ?? errorMessage(error);
    return { kind: 'unclear', reason };
  }
}

/** Of ours it may be one that stands still: a program that is frozen still has its connections taken by the system. */
export function silentFinding(name: string, port: number): Finding {
  return fail(
    name,
    `something takes connections at ${port} and does not answer in time`,
    'perhaps our own process stands still: see its log, and start it anew; or else look what listens there',
  );
}

async function headOf(body: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}
