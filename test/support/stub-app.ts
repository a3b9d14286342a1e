import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parse } from 'qs';

/** A request to the app, its form decoded. */
export interface AppRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly raw: string;
  /** Nested, as PHP would make it of the form. */
  readonly form: Readonly<Record<string, unknown>>;
}

export type AppAnswer = { readonly status: number; readonly body?: string } | 'reset';

/** Stands in for an app that events are sent to: takes all in, and answers as a test wants. */
export interface StubApp {
  readonly url: string;
  readonly requests: readonly AppRequest[];
  answer: (request: AppRequest, count: number) => AppAnswer | Promise<AppAnswer>;
  /** Those with this event name. */
  events(name: string): readonly AppRequest[];
  close(): Promise<void>;
}

export async function startStubApp(): Promise<StubApp> {
  const requests: AppRequest[] = [];
  const app: { answer: StubApp['answer'] } = { answer: () => ({ status: 200 }) };
  const server = createServer((request, response) => {
    void serve(request, response).catch(() => response.writeHead(500).end());
  });
  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const read = await readRequest(request);
    requests.push(read);
    const answer = await app.answer(read, requests.length);
    if (answer === 'reset') response.destroy();
    else response.writeHead(answer.status).end(answer.body ?? '{}');
  }
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  return Object.assign(app, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`,
    requests,
    events: (name: string) => requests.filter(({ form }) => form['event'] === name),
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  });
}

async function readRequest(request: IncomingMessage): Promise<AppRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const raw = Buffer.concat(chunks).toString('utf8');
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://app');
  const form = parse(raw, { depth: 16 }) as Readonly<Record<string, unknown>>;
  return { path: pathname, query: searchParams, headers: request.headers, raw, form };
}
