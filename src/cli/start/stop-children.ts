import { setTimeout as sleep } from 'node:timers/promises';
import type { ManagedChild } from './managed-child.js';
import { whenAborted } from './stop-signals.js';

export interface ChildrenStop {
  /** In the order in which they are to end: who takes work in goes before who does it. */
  readonly children: readonly ManagedChild[];
  /** All of them together; who still runs then is killed. */
  readonly timeoutMs: number;
  readonly hurry: AbortSignal;
  readonly say: (line: string) => void;
}

/** How long one may take before the next is told to end as well. */
const HEAD_START_MS = 2000;

/** Resolves when all are gone. */
export async function stopChildren(stop: ChildrenStop): Promise<void> {
  const { children, hurry } = stop;
  const timer = new AbortController();
  const isTooLate = Promise.race([whenAborted(hurry), pause(stop.timeoutMs, timer.signal)]);
  for (const child of children) {
    child.terminate();
    await Promise.race([child.ended, isTooLate, pause(HEAD_START_MS, timer.signal)]);
  }
  const allEnded = Promise.all(children.map((child) => child.ended));
  const result = await Promise.race([allEnded, isTooLate.then(() => 'too late' as const)]);
  timer.abort();
  if (result === 'too late') await killRest(stop);
}

async function killRest({ children, timeoutMs, hurry, say }: ChildrenStop): Promise<void> {
  const why = hurry.aborted ? 'a second signal' : `not ended within ${timeoutMs / 1000} s`;
  await Promise.all(
    children.map(async (child) => {
      const hasEnded = await Promise.race([child.ended.then(() => true), Promise.resolve(false)]);
      if (hasEnded) return;
      say(`killing ${child.name}: ${why}`);
      child.kill();
      await child.ended;
    }),
  );
}

/** A pause that ends early, and quietly, with the signal. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return sleep(ms, undefined, { signal }).catch(() => undefined);
}
