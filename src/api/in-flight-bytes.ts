/** One request's share of the bytes in flight. */
export interface InFlightShare {
  /** False where the bound is reached and nobody slower is left; then nothing was taken. */
  take(bytes: number): boolean;
  /** Told when this one must make room for others: it was under way for longer than any other. */
  onEvicted(evicted: () => void): void;
  /** The body is whole: from now on it cannot be made to make room. */
  complete(): void;
  release(): void;
}

/**
 * Bounds the bytes of all requests that are being read or wait for the disk: memory must not grow with the number of senders.
 *
 * Where the bound is reached, the body that has been under way for the longest is given up. A true event is whole within
 * milliseconds; whoever holds many bodies open to fill the bound makes room for it.
 */
export class InFlightBytes {
  readonly #bytesMax: number;
  /** In the order in which they began. */
  readonly #unfinished = new Set<Share>();
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  open(): InFlightShare {
    const share: Share = { bytes: 0, evicted: undefined };
    const end = (): void => {
      this.#unfinished.delete(share);
      this.#bytes -= share.bytes;
      share.bytes = 0;
    };
    return {
      take: (bytes) => {
        this.#unfinished.add(share);
        this.#makeRoom(bytes, share);
        if (this.#bytes + bytes > this.#bytesMax) return false;
        this.#bytes += bytes;
        share.bytes += bytes;
        return true;
      },
      onEvicted: (evicted) => {
        share.evicted = () => {
          end();
          evicted();
        };
      },
      complete: () => this.#unfinished.delete(share),
      release: end,
    };
  }

  #makeRoom(bytes: number, asking: Share): void {
    for (const share of this.#unfinished) {
      if (this.#bytes + bytes <= this.#bytesMax || share === asking) return;
      share.evicted?.();
    }
  }
}

interface Share {
  bytes: number;
  evicted: (() => void) | undefined;
}
