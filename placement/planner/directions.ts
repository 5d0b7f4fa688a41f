/** Kinds of which every subset is tried as the ones that have a price. */
const MOST_KINDS = 4;

/** Prices by kind for a cut: all of these kinds, subsets of them, and one kind weighed less. All others are free. */
export function directions(prices: readonly number[], kinds: readonly number[]): readonly (readonly number[])[] {
  const subsets =
    kinds.length <= MOST_KINDS
      ? Array.from({ length: 2 ** kinds.length - 1 }, (_, i) =>
          kinds.filter((_, k) => (2 ** kinds.length - 1 - i) & (1 << k)),
        )
      : [kinds, ...kinds.map((gone) => kinds.filter((k) => k !== gone)), ...kinds.map((k) => [k])];
  const halved = (kind: number) => prices.map((price, k) => (kinds.includes(k) ? (k === kind ? price / 2 : price) : 0));
  return [
    ...subsets.map((kept) => prices.map((price, k) => (kept.includes(k) ? price : 0))),
    ...(kinds.length > 1 ? kinds.map(halved) : []),
  ];
}

/** What so many calls at once on each kind weigh together. */
export const weighed = (weights: readonly number[], atOnce: readonly number[]): number =>
  weights.reduce((sum, weight, k) => sum + weight * (atOnce[k] ?? 0), 0);
