import type { Curve } from '../simulator/index.js';

/** A lower bound of times by the size of a call: linear between the measured sizes, and never falling. */
export interface SizeFloor {
  /** Measured sizes, ascending. */
  readonly sizes: Float64Array;
  readonly ms: readonly number[];
}

/**
 * The least of the times of batches of some sizes, by the size of a call in them.
 *
 * **Claim.** `msAt(b, s) >= floorAt(floor, s)` for every batch b from 1 to `most` and every size s, if msAt(b, s) is a weighted sum of the curve's
 * quantiles at b and s, such as one of them, or their mean over b.
 *
 * **Proof.** Every quantile, and so their sum, is linear in the size between measured sizes (`quantileAt`). There it is no less than the chord
 * through values that are no more than its own at both ends: those of the floor, which are the least of all batches and of all larger sizes. Up to
 * the first size it is no less than there, and beyond the last it grows at least in proportion to the size.
 */
export function sizeFloor(curve: Curve, most: number, msAt: (batch: number, size: number) => number): SizeFloor {
  const { sizes } = curve;
  const ms = Array.from(sizes, (size) => {
    let least = Number.POSITIVE_INFINITY;
    for (let batch = 1; batch <= Math.min(most, curve.batches); batch += 1) least = Math.min(least, msAt(batch, size));
    return least;
  });
  for (let s = ms.length - 2; s >= 0; s -= 1) ms[s] = Math.min(ms[s] as number, ms[s + 1] as number);
  return { sizes, ms };
}

export function floorAt({ sizes, ms }: SizeFloor, size: number): number {
  let s = 0;
  while (s < sizes.length - 1 && size > (sizes[s] as number)) s += 1;
  const [top, here] = [sizes[s] as number, ms[s] as number];
  if (size >= top) return s === sizes.length - 1 ? (here * size) / top : here;
  if (s === 0) return here;
  const [bottom, before] = [sizes[s - 1] as number, ms[s - 1] as number];
  return before + ((size - bottom) / (top - bottom)) * (here - before);
}
