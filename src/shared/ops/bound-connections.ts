import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Keeps a server at so many connections by closing the oldest of those of which no request is being answered: they have sent no whole
 * one yet, or have had their answer. Whoever is turned away instead, as by `maxConnections`, is the one who asks honestly while
 * others hold connections open without asking.
 */
export function boundConnections(server: Server, connectionsMax: number): void {
  const all = new Set<Socket>();
  /** In the order in which they began to wait. */
  const waiting = new Set<Socket>();
  server.on('connection', (socket) => {
    all.add(socket);
    waiting.add(socket);
    socket.once('close', () => {
      all.delete(socket);
      waiting.delete(socket);
    });
    if (all.size > connectionsMax) closeFirst(all, waiting);
  });
  server.on('request', ({ socket }, response) => {
    waiting.delete(socket);
    response.once('close', () => {
      if (!socket.destroyed) waiting.add(socket);
    });
  });
}

/** Taken out at once, so that the next one to come finds another. */
function closeFirst(all: Set<Socket>, waiting: Set<Socket>): void {
  const [oldest] = waiting;
  if (!oldest) return;
  all.delete(oldest);
  waiting.delete(oldest);
  oldest.destroy();
}
