import { createServer } from 'node:net';

/** Below the ports that systems give to outgoing connections (from 32768, or 49152): no other program is given one by chance. */
const FIRST = 15_000;
const COUNT = 17_000;
const TRIES = 100;

let next = Math.floor(Math.random() * COUNT);

/** A port of the loopback address that nothing listens on at this moment; never the same twice in a row. */
export async function findFreePort(): Promise<number> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    next = (next + 1) % COUNT;
    const port = FIRST + next;
    if (await isFree(port)) return port;
  }
  throw new Error(`none of ${TRIES} ports is free`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });
}
