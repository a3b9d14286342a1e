/** One request's share of the bytes in flight. */
export interface InFlightShare {
  /** False where the bound is reached; then nothing was taken. */
  take(bytes: number): boolean;
  release(): void;
}

/** Bounds the bytes of all requests that are being read or wait for the disk: memory must not grow with the number of senders. */
export class InFlightBytes {
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  open(): InFlightShare {
    let own = 0;
    return {
      take: (bytes) => {
        if (this.#bytes + bytes > this.#bytesMax) return false;
        this.#bytes += bytes;
        own += bytes;
        return true;
      },
      release: () => {
        this.#bytes -= own;
        own = 0;
      },
    };
  }
}
