import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

/** What a receiver of forwarded events was sent, its signature verified. */
export interface Forwarded {
  readonly id: string;
  readonly body: { readonly type: string; readonly timestamp: string; readonly data: Record<string, unknown> };
  readonly raw: string;
  readonly headers: IncomingMessage['headers'];
  readonly atMs: number;
}

/** Status, and headers beside it; or `hang` for none, `half` for a 200 whose body ends too early. */
export type Answer = { readonly status: number; readonly headers?: Record<string, string> } | 'hang' | 'half';

/** A receiver of forwarded events: a real server that verifies every signature, and answers as a test wants. */
export interface Receiver {
  readonly url: string;
  readonly secret: string;
  /** In the order in which they came, those with a bad answer too. */
  readonly received: readonly Forwarded[];
  /** Requests whose signature is wrong. */
  readonly unsigned: readonly string[];
  answer: (request: Forwarded, count: number) => Answer | Promise<Answer>;
  /** Forgets what came. */
  clear(): void;
  close(): Promise<void>;
}

export const RECEIVER_SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

/** @param host where it listens; a container does not reach the loopback address. */
export async function startReceiver(port = 0, host = '127.0.0.1'): Promise<Receiver> {
  const received: Forwarded[] = [];
  const unsigned: string[] = [];
  const webhook = new Webhook(RECEIVER_SECRET);
  const server = createServer((request, response) => {
    void take(request, response);
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  const receiver: Receiver = {
    url: `http://127.0.0.1:${portOf(server)}/hook`,
    secret: RECEIVER_SECRET,
    received,
    unsigned,
    answer: () => ({ status: 204 }),
    clear() {
      received.length = 0;
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return receiver;

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks).toString('utf8');
    const forwarded = read(request, raw);
    if (!forwarded) {
      response.writeHead(401).end();
      return;
    }
    received.push(forwarded);
    send(response, await receiver.answer(forwarded, received.length));
  }

  function read(request: IncomingMessage, raw: string): Forwarded | undefined {
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    try {
      const body = webhook.verify(raw, headers) as Forwarded['body'];
      return { id: headers['webhook-id'] ?? '', body, raw, headers: request.headers, atMs: Date.now() };
    } catch {
      unsigned.push(raw);
      return undefined;
    }
  }
}

function send(response: ServerResponse, answer: Answer): void {
  if (answer === 'hang') return;
  if (answer === 'half') {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half');
    setImmediate(() => response.destroy());
    return;
  }
  response.writeHead(answer.status, answer.headers).end();
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
