import { STATUS_CODES, createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer, type AddressInfo, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import express, { type Express } from 'express';
import type { Config } from '../shared/config.js';
import { HTTP_ERRORS, type HttpErrorCode } from '../shared/errors.js';
import { StartError } from '../shared/start-error.js';
import { resolvesWithin } from '../shared/time-limit.js';
import { urlHost } from '../shared/url-host.js';
import { HttpError } from './http-error.js';
import { createRefuseRequest } from './refuse-request.js';
import { addRoutes, type RoutesDeps } from './routes.js';

export interface ServerDeps extends RoutesDeps {
  readonly config: RoutesDeps['config'] & Pick<Config, 'apiHost' | 'apiPort' | 'trustProxy'>;
  readonly requestTimeoutMs?: number;
  /** How long idle connections are left at a stop. */
  readonly idleMs?: number;
}

export interface RunningServer {
  readonly url: string;
  /** Answers what is under way, within a bound, and takes nothing new. */
  stop(): Promise<void>;
}

const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** Longer than the 60 s after which a usual proxy drops an idle connection: else it may send on one that we just closed. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
const TIMEOUTS_CHECKED_EVERY_MS = 1000;
const CONNECTIONS_MAX = 10_000;
/** At a stop, for a request that is on its way on an idle connection. */
const IDLE_MS = 1000;
/** And for requests under way: all but slow bodies are answered at once. */
const STOP_MS = 3000;
const GREETING = 'Bitrix24 event ingress: POST events to the path that EVENTS_PATH names.\n';

/** @throws where the port is taken, with the name of its variable. */
export async function startServer(deps: ServerDeps): Promise<RunningServer> {
  const underWay = new Set<ServerResponse>();
  const server = createHttpServer(deps, underWay);
  await listen(server, deps.config);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${urlHost(deps.config.apiHost)}:${port}${deps.config.eventsPath}`,
    stop: () => stop(server, underWay, deps.idleMs ?? IDLE_MS),
  };
}

function createApp(deps: ServerDeps): Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', false);
  app.set('case sensitive routing', true);
  app.set('trust proxy', deps.config.trustProxy);
  addRoutes(app, deps);
  app.get('/', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end(GREETING);
  });
  app.use(() => {
    throw new HttpError('not_found');
  });
  app.use(createRefuseRequest(deps));
  return app;
}

function createHttpServer(deps: ServerDeps, underWay: Set<ServerResponse>): Server {
  const app = createApp(deps);
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    underWay.add(response);
    response.once('close', () => underWay.delete(response));
    app(request, response);
  };
  const server = createServer(
    {
      requestTimeout: deps.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
      headersTimeout: Math.min(HEADERS_TIMEOUT_MS, deps.requestTimeoutMs ?? REQUEST_TIMEOUT_MS),
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUTS_CHECKED_EVERY_MS,
    },
    handle,
  );
  server.maxConnections = CONNECTIONS_MAX;
  // Without a listener Node would ask for the body before the request was looked at.
  server.on('checkContinue', handle);
  // One that is not known may be ignored (RFC 9110, section 10.1.1); Node would refuse it without a word.
  server.on('checkExpectation', handle);
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const code = refuseBroken(error, socket);
    if (code !== undefined) deps.metrics.refused(code, undefined);
  });
  return server;
}

/** What is no HTTP, or does not come in time, never becomes a request: it is answered on the bare socket. Gives the code of the answer. */
function refuseBroken(error: NodeJS.ErrnoException, socket: Socket): HttpErrorCode | undefined {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return undefined;
  }
  const code = brokenCode(error.code);
  const { status } = HTTP_ERRORS[code];
  const body = JSON.stringify({ error: code });
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${body.length}\r\nconnection: close`;
  socket.end(`${head}\r\n\r\n${body}`);
  // Until the sender closes its side, or for as long as it may take to read the answer.
  setTimeout(() => socket.destroy(), TIMEOUTS_CHECKED_EVERY_MS).unref();
  return code;
}

function brokenCode(code: string | undefined): HttpErrorCode {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return 'request_timeout';
    case 'HPE_HEADER_OVERFLOW':
      return 'headers_too_large';
    default:
      return 'invalid_body';
  }
}

function listen(server: Server, { apiHost, apiPort }: ServerDeps['config']): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException): void => {
      const isTaken = error.code === 'EADDRINUSE';
      const why = isTaken
        ? `API_PORT: port ${apiPort} is taken by another program`
        : `API_HOST: cannot listen on ${apiHost}, port ${apiPort} (${error.code})`;
      reject(new StartError(why));
    };
    server.once('error', fail);
    server.listen(apiPort, apiHost, () => {
      // A later error is fatal, and said so where all such end.
      server.off('error', fail);
      resolve();
    });
  });
}

/**
 * Node's own `close` of an HTTP server cuts idle connections at once, and with them a request that is already on its way there: one
 * that this sender would never repeat. So idle ones are left for a moment; whatever comes on them is answered as the last.
 */
async function stop(server: Server, underWay: ReadonlySet<ServerResponse>, idleMs: number): Promise<void> {
  for (const response of underWay) sayClose(response);
  // Connections that the kernel has taken already come first: closing would reset them.
  await setImmediate();
  server.prependListener('request', (_request, response) => sayClose(response));
  const closed = new Promise<void>((resolve) => {
    NetServer.prototype.close.call(server, () => resolve());
  });
  await resolvesWithin(closed, idleMs);
  server.closeIdleConnections();
  await resolvesWithin(closed, STOP_MS);
  server.closeAllConnections();
}

function sayClose(response: ServerResponse): void {
  if (!response.headersSent) response.setHeader('connection', 'close');
}
