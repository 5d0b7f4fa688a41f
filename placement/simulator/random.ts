/**
 * A number in (0, 1) that depends only on its arguments: the same request draws the same numbers on every placement, so
 * that placements differ only by themselves. (Finalizer of MurmurHash3, twice.)
 */
export function drawOf(seed: number, a: number, b: number): number {
  let h = mixed(Math.imul(seed, 0x9e3779b1) ^ a);
  h = mixed(h ^ Math.imul(b + 1, 0x85ebca6b));
  return ((h >>> 0) + 0.5) / 4_294_967_296;
}

function mixed(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** The purpose of a stream of draws, so that no two purposes share one. */
export const DRAW = {
  arrivals: 1,
  service: 2,
  cache: 3,
  branch: 4,
  failure: 5,
  prompt: 6,
  prefix: 7,
  calls: 8,
  sizes: 9,
} as const;

/** Draws in sequence. */
export function stream(seed: number, purpose: number): () => number {
  let i = 0;
  return () => drawOf(seed, i++, purpose);
}
