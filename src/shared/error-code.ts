/** The code by which Node, a library or the system names an error: `ENOENT`, `ECONNREFUSED`. */
export function errorCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}
