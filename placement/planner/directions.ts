/** Kinds of which every subset is tried as the ones that have a price. */
const MOST_KINDS = 4;
/** What one kind's price is multiplied by, the others' being as they are. */
const SHADES = [0.5, 0.25];

/** Prices by kind for a cut: all of these kinds, subsets of them, and one kind weighed less. All others are free. */
export function directions(prices: readonly number[], kinds: readonly number[]): readonly (readonly number[])[] {
  const subsets =
    kinds.length <= MOST_KINDS
      ? Array.from({ length: 2 ** kinds.length - 1 }, (_, i) =>
          kinds.filter((_, k) => (2 ** kinds.length - 1 - i) & (1 << k)),
        )
      : [kinds, ...kinds.map((gone) => kinds.filter((k) => k !== gone)), ...kinds.map((k) => [k])];
  const shaded = kinds.length > 1 ? SHADES.flatMap((shade) => kinds.map((kind) => ({ kind, shade }))) : [];
  return [
    ...subsets.map((kept) => prices.map((price, k) => (kept.includes(k) ? price : 0))),
    ...shaded.map(({ kind, shade }) =>
      prices.map((price, k) => (kinds.includes(k) ? (k === kind ? shade * price : price) : 0)),
    ),
  ];
}

/** What so many calls at once on each kind weigh together. */
export const weighed = (weights: readonly number[], atOnce: readonly number[]): number =>
  weights.reduce((sum, weight, k) => sum + weight * (atOnce[k] ?? 0), 0);
