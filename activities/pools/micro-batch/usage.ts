import type { Usage } from '../../connectors/connector.js';

/** What calls have used together, shared in proportion to their lengths. The shares add up to it. */
export function shared(usage: Usage, lengths: readonly number[]): readonly Usage[] {
  const counts = Object.entries(usage).filter(([, amount]) => amount !== undefined) as [keyof Usage, number][];
  const columns = counts.map(([unit, amount]) => [unit, split(amount, lengths)] as const);
  return lengths.map((_, i) => Object.fromEntries(columns.map(([unit, shares]) => [unit, shares[i] ?? 0])));
}

/** Whole numbers, of which each is rounded so that the sum so far is right. */
function split(amount: number, lengths: readonly number[]): readonly number[] {
  // A text without characters has tokens too.
  const weights = lengths.map((length) => length + 1);
  const all = weights.reduce((sum, weight) => sum + weight, 0);
  let weight = 0;
  let given = 0;
  return weights.map((own) => {
    weight += own;
    const share = Math.round((amount * weight) / all) - given;
    given += share;
    return share;
  });
}
