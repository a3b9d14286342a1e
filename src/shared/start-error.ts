/** A reason for which nothing can be started, in one sentence for the person at the terminal; no stack belongs to it. */
export class StartError extends Error {
  constructor(
    message: string,
    readonly exitCode = 1,
  ) {
    super(message);
    this.name = 'StartError';
  }
}
