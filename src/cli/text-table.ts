/** Rows in columns, each as wide as its widest cell; the first row is the heading. */
export function tableLines(rows: readonly (readonly string[])[]): readonly string[] {
  const cells = rows.map((row) => row.map(plainText));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));
  return cells.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

/** What a stranger chose must not steer the terminal. */
export function plainText(text: string): string {
  return text.replaceAll(/\p{Cc}|\p{Cf}/gu, '?');
}
