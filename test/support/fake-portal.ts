import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface PortalCall {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
  readonly token: unknown;
}

/** What a method answers: its result, an error with its status, or `hang` for nothing at all. */
export type PortalReply = { readonly result: unknown } | { readonly status: number; readonly error: string } | 'hang';

/** The REST of one portal with one person in it: as much of it as a page asks for. */
export interface FakePortal {
  /** `127.0.0.1:port`, as B24_PORTAL_HOSTS has it. */
  readonly host: string;
  /** `http://127.0.0.1:port/rest/` */
  readonly endpoint: string;
  /** In the order in which they came. */
  readonly calls: readonly PortalCall[];
  readonly replies: Map<string, PortalReply>;
  close(): Promise<void>;
}

export async function startFakePortal(): Promise<FakePortal> {
  const calls: PortalCall[] = [];
  const replies = new Map<string, PortalReply>();
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    host,
    endpoint: `http://${host}/rest/`,
    calls,
    replies,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = await readCall(request);
    calls.push(call);
    const reply = replies.get(call.method) ?? { status: 404, error: 'ERROR_METHOD_NOT_FOUND' };
    if (reply === 'hang') return;
    response.writeHead('status' in reply ? reply.status : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify('result' in reply ? { result: reply.result } : { error: reply.error }));
  }
}

async function readCall(request: IncomingMessage): Promise<PortalCall> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const { auth, ...params } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as Record<string, unknown>;
  return { method: request.url?.replace('/rest/', '') ?? '', params, token: auth };
}
