/** The process runs and does not do its work, and a new one would: it ends, so that its supervisor starts it anew. */
export class WedgedError extends Error {
  /** @param summary what does not move, and for how long, in a sentence. */
  constructor(summary: string) {
    super(summary);
    this.name = 'WedgedError';
  }
}
