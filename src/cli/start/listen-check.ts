import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, errorMessage } from '../../shared/caught-error.js';
import { StartError } from '../../shared/start-error.js';

export interface ListenCheck {
  readonly host: string;
  readonly port: number;
  /** How long what holds the port may take to end; 0 where nothing is expected to end. */
  readonly patienceMs: number;
  readonly signal: AbortSignal;
  readonly say: (line: string) => void;
}

/**
 * Finds out before anything is started whether the ingress will be able to listen.
 *
 * @throws {StartError} naming the variable that must change.
 */
export async function requireListenable(check: ListenCheck): Promise<void> {
  const { host, port, patienceMs, signal, say } = check;
  const deadlineMs = Date.now() + patienceMs;
  for (let isFirst = true; ; isFirst = false) {
    signal.throwIfAborted();
    const error = await tryToListen(host, port);
    if (error === undefined) return;
    if (errorCode(error) !== 'EADDRINUSE' || Date.now() >= deadlineMs) throw refusal(error, host, port);
    if (isFirst) say(`port ${port} is still taken; the run before was killed, so this waits up to 10 s for it to end`);
    await sleep(100);
  }
}

function tryToListen(host: string, port: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen(port, host, () => server.close(() => resolve(undefined)));
  });
}

function refusal(error: Error, host: string, port: number): StartError {
  switch (errorCode(error)) {
    case 'EADDRINUSE':
      return new StartError(
        `API_PORT: another program listens on port ${port} of ${host} already; stop it, or set API_PORT to a free port`,
      );
    case 'EACCES':
      return new StartError(`API_PORT: this user may not listen on port ${port}; set API_PORT to 1024 or more`);
    default:
      return new StartError(`API_HOST: cannot listen on ${host}, port ${port}: ${errorMessage(error)}`);
  }
}
