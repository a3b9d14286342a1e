/** Numbers from 0 up to 1, the same ones for the same seed. */
export type Random = () => number;

/** A multiply-with-xorshift generator (splitmix32): short, even, and good enough to choose what is sent twice. */
export function seededRandom(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
}
