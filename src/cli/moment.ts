const UNITS = [
  { name: 'd', seconds: 86_400 },
  { name: 'h', seconds: 3600 },
  { name: 'min', seconds: 60 },
  { name: 's', seconds: 1 },
] as const;

/** `2025-01-31T09:00:00Z (3 min ago)`; `never` for 0, by which records say that they know of no such moment. */
export function momentOf(ms: number, nowMs: number): string {
  return ms === 0 ? 'never' : `${isoOf(ms)} (${agoOf(ms, nowMs)})`;
}

/** `3 min ago`, or `in 3 min` where the clocks, or the wait, say so. */
export function agoOf(ms: number, nowMs: number): string {
  const span = spanOf(Math.abs(nowMs - ms));
  return ms > nowMs ? `in ${span}` : `${span} ago`;
}

/** In the largest unit of which there are two, so that little is lost: `90 s`, `47 h`. */
export function spanOf(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const unit = UNITS.find((candidate) => seconds >= 2 * candidate.seconds) ?? UNITS[3];
  return `${Math.floor(seconds / unit.seconds)} ${unit.name}`;
}

/** For JSON: null for 0. */
export function isoOrNull(ms: number): string | null {
  return ms === 0 ? null : isoOf(ms);
}

/** `2025-01-31T09:00:00Z` */
export function isoOf(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}
