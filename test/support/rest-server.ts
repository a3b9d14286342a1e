import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseHostEntry, type HostEntry } from '../../src/shared/host-entry.js';

export interface RestRequest {
  /** Without the address's `?…`. */
  readonly path: string;
  readonly url: string;
  readonly httpMethod: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly atMs: number;
}

/** `hang` answers nothing, `half` ends in the middle, `endless` and `drip` (a byte now and then) never end. */
export type RestAnswer =
  | { readonly status?: number; readonly body?: unknown; readonly headers?: Record<string, string> }
  | 'hang'
  | 'half'
  | 'endless'
  | 'drip';

/** A portal or an OAuth server that answers as a test wants. */
export interface RestServer {
  readonly endpoint: string;
  readonly port: number;
  readonly entry: HostEntry;
  readonly requests: readonly RestRequest[];
  readonly connections: number;
  answer: (request: RestRequest) => RestAnswer | Promise<RestAnswer>;
  close(): Promise<void>;
}

export async function startRestServer(): Promise<RestServer> {
  const requests: RestRequest[] = [];
  let connections = 0;
  const server = createServer((request, response) => void take(request, response));
  server.on('connection', () => {
    connections += 1;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const entry = parseHostEntry(`127.0.0.1:${port}`);
  if (!entry) throw new Error('no entry');
  const restServer: RestServer = {
    endpoint: `http://127.0.0.1:${port}/rest/`,
    port,
    entry,
    requests,
    get connections() {
      return connections;
    },
    answer: () => ({ body: { result: true } }),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return restServer;

  async function take(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const atMs = Date.now();
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const request = toRequest(incoming, Buffer.concat(chunks).toString('utf8'), atMs);
    requests.push(request);
    send(response, await restServer.answer(request));
  }
}

function toRequest({ url = '', method = '', headers }: IncomingMessage, text: string, atMs: number): RestRequest {
  const isForm = headers['content-type'] === 'application/x-www-form-urlencoded';
  const body = isForm ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text || '{}');
  return { path: url.split('?', 1)[0] ?? '', url, httpMethod: method, body, atMs };
}

function send(response: ServerResponse, answer: RestAnswer): void {
  if (answer === 'hang') return;
  if (answer === 'half') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('{"result":');
    setImmediate(() => response.destroy());
    return;
  }
  if (answer === 'endless' || answer === 'drip') {
    response.writeHead(200);
    if (answer === 'drip') {
      const dripping = setInterval(() => response.write(' '), 20);
      response.on('close', () => clearInterval(dripping));
      return;
    }
    const more = () => void (!response.destroyed && response.write(Buffer.alloc(65_536, ' '), more));
    more();
    return;
  }
  const { status = 200, body, headers = {} } = answer;
  response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body ?? {}));
}
