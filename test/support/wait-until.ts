import { setTimeout as sleep } from 'node:timers/promises';

/** Waits for a condition, and says which one did not come true in time. */
export async function waitUntil(
  what: string,
  isTrue: () => boolean | Promise<boolean>,
  { timeoutMs = 30_000 }: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const endsAtMs = Date.now() + timeoutMs;
  while (!(await isTrue())) {
    if (Date.now() > endsAtMs) throw new Error(`not within ${timeoutMs} ms: ${what}`);
    await sleep(20);
  }
}
