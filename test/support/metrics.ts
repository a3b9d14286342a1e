/** A sample of a text in the format of Prometheus; undefined where there is none with these labels. */
export function metricIn(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  for (const line of text.split('\n')) {
    const [, found, pairs = '', value] = /^([a-z0-9_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    if (found !== name) continue;
    if (Object.entries(labels).every(([label, wanted]) => pairs.includes(`${label}="${wanted}"`))) return Number(value);
  }
  return undefined;
}

/** All values of a label. */
export function labelValuesIn(text: string, name: string, label: string): readonly string[] {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`));
  return [...new Set(lines.map((line) => new RegExp(`${label}="([^"]*)"`).exec(line)?.[1] ?? ''))].toSorted();
}
