import { createServer, type RequestListener } from 'node:http';

export interface HttpListener {
  readonly port: number;
  /** `127.0.0.1:41234`, or the name by which others reach it. */
  readonly host: string;
  /** With all its connections, those on which an answer is owed too. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** A free one by default. */
  readonly port?: number | undefined;
  /** Under which the app reaches this machine. Without it only this machine can. */
  readonly hostname?: string | undefined;
}

/** @throws what `listen` reports, such as EADDRINUSE. */
export async function listenForApp(
  onRequest: RequestListener,
  { port = 0, hostname }: ListenOptions = {},
): Promise<HttpListener> {
  const server = createServer(onRequest);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, hostname === undefined ? LOOPBACK : EVERY_ADDRESS, resolve);
  });
  const address = server.address();
  const taken = address !== null && typeof address === 'object' ? address.port : port;
  return {
    port: taken,
    host: `${hostname ?? LOOPBACK}:${taken}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const LOOPBACK = '127.0.0.1';
const EVERY_ADDRESS = '0.0.0.0';
