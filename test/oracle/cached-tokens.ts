/* What the second simulator knows of prefix caches, from the columns of a load as docs/reference/placement.md describes them. */

/** Tokens of a run's prompt that the cache of one of so many replicas has. `random`: a new number from 0 to 1. */
export function tokensInCache(
  sizes: Readonly<Record<string, ArrayLike<number>>>,
  routing: 'aware' | 'unaware',
  replicas: number,
  run: number,
  random: () => number,
): number {
  const counts = Object.keys(sizes)
    .flatMap((column) => {
      const [name, count] = column.split(`tokens_cached_${routing}_`);
      return name === '' ? [Number(count)] : [];
    })
    .sort((a, b) => a - b);
  const measured = (count: number) => sizes[`tokens_cached_${routing}_${count}`]?.[run] ?? 0;
  const stated = sizes.tokens_cached?.[run] ?? 0;
  const [least] = counts;
  const most = counts.at(-1);
  if (least === undefined || most === undefined) {
    return routing === 'aware' || random() * replicas <= 1 ? stated : 0;
  }
  if (routing === 'aware') return measured(Math.max(least, ...counts.filter((count) => count <= replicas)));
  if (replicas >= most) return random() * replicas <= most ? measured(most) : 0;
  if (replicas <= least) return measured(least);
  const below = Math.max(...counts.filter((count) => count <= replicas));
  const above = Math.min(...counts.filter((count) => count > replicas));
  // So that 1 / replicas is on average what the two counts have.
  const ofBelow = (1 / replicas - 1 / above) / (1 / below - 1 / above);
  return random() <= ofBelow ? measured(below) : measured(above);
}
