// What was thrown is told by its fields and not by `instanceof`: it may come from a native part, or from another realm.

/** The code by which Node, a library or the system names an error: `ENOENT`, `ECONNREFUSED`. */
export function errorCode(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : undefined;
}

export function errorMessage(error: unknown): string {
  return typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
}
