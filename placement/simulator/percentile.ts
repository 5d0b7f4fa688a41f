/**
 * The smallest value that at least this share of the values does not exceed; NaN without values. Sorts its argument.
 */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

/** The values that are numbers, ascending. */
export const sortedNumbers = (values: Float64Array): Float64Array => values.filter((v) => !Number.isNaN(v)).sort();

/** Number of `count` runs that may exceed an objective for this share. */
export const mayBeLate = (count: number, share: number): number => count - Math.max(1, Math.ceil(share * count));
