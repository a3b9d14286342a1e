import { createServer, type RequestListener } from 'node:http';

/** A server on the loopback address, which nobody else can reach. */
export interface HttpListener {
  readonly port: number;
  /** `127.0.0.1:41234` */
  readonly host: string;
  /** With all its connections, those on which an answer is owed too. */
  close(): Promise<void>;
}

/** @throws what `listen` reports, such as EADDRINUSE. Port 0 takes a free one. */
export async function listenOnLoopback(onRequest: RequestListener, port = 0): Promise<HttpListener> {
  const server = createServer(onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  const taken = address !== null && typeof address === 'object' ? address.port : port;
  return {
    port: taken,
    host: `127.0.0.1:${taken}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
