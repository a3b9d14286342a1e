import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { errorCode, errorMessage } from '../caught-error.js';
import type { Logger } from '../logger.js';
import { oneAtATime } from '../one-at-a-time.js';
import { StartError } from '../start-error.js';
import { withTimeLimit } from '../time-limit.js';
import { urlHost } from '../url-host.js';
import { boundConnections } from './bound-connections.js';
import type { OpsView } from './ops.js';

export interface OpsServerDeps {
  readonly host: string;
  readonly port: ListenPort;
  readonly view: OpsView;
  readonly logger: Logger;
}

export interface ListenPort {
  /** Its name outside. */
  readonly variable: string;
  /** 0: any free one. */
  readonly number: number;
  /** Somebody did. Several processes on one machine are usual, so where nobody did and it is taken, any other one will do. */
  readonly isChosen: boolean;
}

export interface OpsServer {
  /** Without a path. */
  readonly url: string;
  /** The port in whose place it took another one. */
  readonly portTaken: number | undefined;
  close(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly type: 'application/json' | 'text/plain; version=0.0.4';
  readonly text: string;
}

const CONNECTIONS_MAX = 64;
const HEADER_BYTES_MAX = 8192;
const HEADERS_MS = 1000;
/** For the whole request, an idle connection, and a reader who has stopped reading. */
const TIMEOUT_MS = 5000;
const TIMEOUTS_CHECKED_EVERY_MS = 500;
const METRICS_MS = 4000;

/**
 * `/metrics`, `/healthz` and `/readyz`, apart from what the process is there for: on a port that need not be reached from outside, and
 * without a framework, so that it answers from the first moment on.
 *
 * @throws {StartError} where it cannot listen, with the name of the variable.
 */
export async function startOpsServer(deps: OpsServerDeps): Promise<OpsServer> {
  const server = createOpsHttpServer(deps);
  const portTaken = await listenSomewhere(server, deps);
  // Nothing that happens to it may end the process.
  server.on('error', (error) => deps.logger.warn({ event: 'ops.failed', reason: errorMessage(error) }, 'ops server'));
  const url = `http://${urlHost(deps.host)}:${(server.address() as AddressInfo).port}`;
  deps.logger.info({ event: 'ops.listening', url }, 'metrics, health and readiness are told here');
  return {
    url,
    portTaken,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function createOpsHttpServer({ view, logger }: OpsServerDeps): Server {
  const pages: ReadonlyMap<string, () => Promise<Reply>> = new Map([
    ['/healthz', () => Promise.resolve(asJson(200, { status: 'ok' }))],
    ['/readyz', oneAtATime(() => readyReply(view))],
    ['/metrics', oneAtATime(() => metricsReply(view, logger))],
  ]);
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_MS,
      requestTimeout: TIMEOUT_MS,
      keepAliveTimeout: TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUTS_CHECKED_EVERY_MS,
    },
    (request, response) => void replyTo(request, pages).then((reply) => send(response, reply)),
  );
  boundConnections(server, CONNECTIONS_MAX);
  server.setTimeout(TIMEOUT_MS);
  return server;
}

async function replyTo(
  { method, url = '' }: IncomingMessage,
  pages: ReadonlyMap<string, () => Promise<Reply>>,
): Promise<Reply> {
  const page = pages.get(url.split('?', 1)[0] ?? '');
  if (!page) return asJson(404, { error: 'not_found' });
  return method === 'GET' ? page() : asJson(405, { error: 'method_not_allowed' });
}

async function readyReply(view: OpsView): Promise<Reply> {
  const readiness = await view.readiness();
  if (!readiness) return asJson(503, { status: 'starting', problems: [], warnings: [] });
  const { problems, warnings, facts } = readiness;
  const isReady = problems.length === 0;
  return asJson(isReady ? 200 : 503, { status: isReady ? 'ready' : 'not ready', problems, warnings, ...facts });
}

async function metricsReply(view: OpsView, logger: Logger): Promise<Reply> {
  const type = 'text/plain; version=0.0.4';
  try {
    return { status: 200, type, text: await withTimeLimit(view.metrics(), METRICS_MS, 'gathering the metrics') };
  } catch (error) {
    logger.warn({ event: 'ops.metrics_failed', reason: errorMessage(error) }, 'the metrics cannot be told');
    return { status: 503, type, text: '' };
  }
}

function asJson(status: number, body: unknown): Reply {
  return { status, type: 'application/json', text: JSON.stringify(body) };
}

function send(response: ServerResponse, { status, type, text }: Reply): void {
  const headers = { 'content-type': `${type}; charset=utf-8`, 'content-length': Buffer.byteLength(text) };
  response.writeHead(status, status === 405 ? { ...headers, allow: 'GET' } : headers).end(text);
}

/** Gives the port that was taken, where another one had to do. */
async function listenSomewhere(server: Server, { host, port, logger }: OpsServerDeps): Promise<number | undefined> {
  try {
    await listen(server, host, port.number);
    return undefined;
  } catch (error) {
    const isTaken = errorCode(error) === 'EADDRINUSE';
    if (!isTaken || port.isChosen) throw refusal(errorCode(error), host, port);
    const fields = { event: 'ops.port_taken', port: port.number };
    logger.warn(fields, `another program has the port; taking a free one, because ${port.variable} is unset`);
    await listen(server, host, 0).catch((again: unknown) => {
      throw refusal(errorCode(again), host, port);
    });
    return port.number;
  }
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function refusal(code: string | undefined, host: string, { variable, number }: ListenPort): StartError {
  if (code === 'EADDRINUSE') return new StartError(`${variable}: port ${number} is taken by another program`);
  if (code === 'EACCES') return new StartError(`${variable}: this user may not listen on port ${number}`);
  return new StartError(`OPS_HOST: cannot listen on ${host}, port ${number} (${code})`);
}
