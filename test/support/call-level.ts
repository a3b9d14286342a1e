/** One call: when it was asked for, at the earliest, and when it came. */
export interface TimedCall {
  readonly askedAtMs: number;
  readonly atMs: number;
}

/**
 * How far the calls stood above a leaky bucket, by the times at which they came; what they were late on their way is made good,
 * because late ones come closer together than they were let go.
 */
export function callsAbove(
  calls: readonly TimedCall[],
  { callsPerSecond, burst }: { readonly callsPerSecond: number; readonly burst: number },
): number {
  const lateMsMax = Math.max(...calls.map(({ askedAtMs, atMs }) => atMs - askedAtMs));
  let level = 0;
  let highest = 0;
  let lastMs = 0;
  for (const { atMs } of calls.toSorted((a, b) => a.atMs - b.atMs)) {
    level = Math.max(0, level - ((atMs - lastMs) / 1000) * callsPerSecond) + 1;
    lastMs = atMs;
    highest = Math.max(highest, level);
  }
  // Half a call for clocks that count in whole milliseconds.
  return Math.max(0, highest - burst - (lateMsMax / 1000) * callsPerSecond - 0.5);
}
