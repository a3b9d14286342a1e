import { existsSync } from 'node:fs';

const MARK = new URL('../../../.one-process-each', import.meta.url);

/**
 * In our own image, in which each process has a container to itself and sees no other. By a file that the Dockerfile makes: in a container
 * of another kind all of them may run side by side.
 */
export function isInContainer(): boolean {
  return existsSync(MARK);
}
