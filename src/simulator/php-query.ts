/**
 * PHP's `http_build_query`, by which a portal writes its events: nested keys in percent-encoded brackets, `+` for a space, all
 * values as strings, `true` and `false` as 1 and 0. Nulls and whatever is empty leave nothing behind.
 */
export function phpQuery(fields: Readonly<Record<string, unknown>>): string {
  const pairs: [string, string][] = [];
  for (const [name, value] of Object.entries(fields)) addPairs(pairs, name, value);
  // The two differ in this one character: https://url.spec.whatwg.org/#urlencoded-serializing leaves it as it is.
  return new URLSearchParams(pairs).toString().replaceAll('*', '%2A');
}

function addPairs(pairs: [string, string][], key: string, value: unknown): void {
  switch (typeof value) {
    case 'string':
    case 'number':
    case 'bigint':
      pairs.push([key, String(value)]);
      return;
    case 'boolean':
      pairs.push([key, value ? '1' : '0']);
      return;
    case 'object':
      for (const [name, child] of Object.entries(value ?? {})) addPairs(pairs, `${key}[${name}]`, child);
      return;
    default:
      return;
  }
}
