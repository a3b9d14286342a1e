import type { ChildProcess } from 'node:child_process';
import { resolvesWithin } from '../../shared/time-limit.js';

/** After the exit, for messages that are still on their way. */
const LAST_MESSAGES_MS = 1000;

/** How it ended. A process that could not be started at all has an `error` and no `exit`. */
export async function endOf(child: ChildProcess): Promise<string> {
  const disconnected = new Promise<void>((resolve) => child.once('disconnect', resolve));
  const how = await new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ? `it was ended by ${signal}` : `it ended with code ${code}`));
    child.on('error', (error) => child.pid === undefined && resolve(`it could not be started: ${error.message}`));
  });
  if (child.connected) await resolvesWithin(disconnected, LAST_MESSAGES_MS);
  return how;
}
