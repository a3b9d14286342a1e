/** A name as the ingress keeps it, in capitals, or the beginning of one and a `*`. */
const PATTERN = /^(?:[A-Z0-9_.:-]{1,128}|[A-Z0-9_.:-]{0,127}\*)$/;

export const EVENTS_WANTED =
  'a list of names in capitals, such as ONIMCONNECTORMESSAGEADD, with a * at the end for all that begin so';

export function isEventPattern(value: unknown): value is string {
  return typeof value === 'string' && PATTERN.test(value);
}

/** Whether an event of that name is meant by one of the patterns. */
export function eventMatcher(patterns: readonly string[]): (name: string) => boolean {
  const names = new Set(namesIn(patterns));
  const starts = patterns.filter((pattern) => pattern.endsWith('*')).map((pattern) => pattern.slice(0, -1));
  return (name) => names.has(name) || starts.some((start) => name.startsWith(start));
}

/** Those that name one event. */
export function namesIn(patterns: readonly string[]): readonly string[] {
  return patterns.filter((pattern) => !pattern.endsWith('*'));
}
