import { type Forest, leafOf, type Tree } from '../../activities/cache/verifier/trees.js';

export interface Example {
  readonly row: readonly number[];
  readonly same: boolean;
  readonly weight: number;
}

export interface BoostOptions {
  readonly rounds: number;
  readonly depth: number;
  readonly rate: number;
  /** Least sum of second derivatives of a leaf. */
  readonly leaf: number;
  /** L2 penalty of a leaf's value. */
  readonly ridge: number;
  /** By feature: 1 the score may only rise with it, -1 only fall, 0 either. */
  readonly monotone: readonly (-1 | 0 | 1)[];
}

/**
 * Gradient boosting of the logistic loss with second-order leaves (Friedman 2001, "Greedy function approximation"; the
 * gain and the leaf's value as in Chen & Guestrin 2016, "XGBoost", equations 5 to 7). Exact splits, no randomness: the
 * same examples give the same trees.
 */
export function boost(examples: readonly Example[], features: readonly string[], options: BoostOptions): Forest {
  const total = sum(examples.map(({ weight }) => weight));
  const share = sum(examples.map(({ same, weight }) => (same ? weight : 0))) / total;
  const bias = Math.log(share / (1 - share));
  const odds = examples.map(() => bias);
  const trees: Tree[] = [];
  const orders = features.map((_, feature) =>
    examples.map((_, i) => i).sort((x, y) => valueAt(examples, x, feature) - valueAt(examples, y, feature)),
  );
  for (let round = 0; round < options.rounds; round += 1) {
    const slopes = examples.map(({ same, weight }, i): Slope => {
      const p = 1 / (1 + Math.exp(-(odds[i] as number)));
      return { first: weight * ((same ? 1 : 0) - p), second: weight * p * (1 - p) };
    });
    const all = examples.map((_, i) => i);
    const tree = grow({ examples, slopes, orders, options }, all, options.depth, [-9, 9]);
    trees.push(tree);
    for (const i of all) odds[i] = (odds[i] as number) + leafOf(tree, (examples[i] as Example).row);
  }
  return { features, bias: rounded(bias), trees };
}

interface Slope {
  readonly first: number;
  readonly second: number;
}

/** What all nodes of a tree have in common. */
interface Growing {
  readonly examples: readonly Example[];
  readonly slopes: readonly Slope[];
  /** For each feature, the examples in the order of its values. */
  readonly orders: readonly (readonly number[])[];
  readonly options: BoostOptions;
}

const valueAt = (examples: readonly Example[], i: number, feature: number): number =>
  (examples[i] as Example).row[feature] as number;
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const rounded = (value: number): number => Number(value.toFixed(4));

function grow(growing: Growing, at: readonly number[], depth: number, [least, most]: readonly [number, number]): Tree {
  const { examples, slopes, options } = growing;
  const clamp = (value: number) => Math.min(most, Math.max(least, value));
  const value = (s: Slope) => clamp(s.first / (s.second + options.ridge));
  const all = totalOf(slopes, at);
  const leaf = rounded(options.rate * value(all));
  if (depth === 0) return leaf;
  const best = bestSplit(growing, at, all);
  if (!best) return leaf;
  const { feature, below } = best;
  const is = (i: number) => valueAt(examples, i, feature) < below;
  const [left, right] = [at.filter(is), at.filter((i) => !is(i))];
  // With a monotone feature the two sides keep to their side of the middle.
  const middle = (value(totalOf(slopes, left)) + value(totalOf(slopes, right))) / 2;
  const sign = options.monotone[feature] ?? 0;
  const bounds: [readonly [number, number], readonly [number, number]] =
    sign === 0
      ? [
          [least, most],
          [least, most],
        ]
      : sign > 0
        ? [
            [least, middle],
            [middle, most],
          ]
        : [
            [middle, most],
            [least, middle],
          ];
  return [feature, below, grow(growing, left, depth - 1, bounds[0]), grow(growing, right, depth - 1, bounds[1])];
}

const totalOf = (slopes: readonly Slope[], at: readonly number[]): Slope => ({
  first: sum(at.map((i) => (slopes[i] as Slope).first)),
  second: sum(at.map((i) => (slopes[i] as Slope).second)),
});

function bestSplit(
  { examples, slopes, orders, options: { leaf, ridge, monotone } }: Growing,
  at: readonly number[],
  all: Slope,
): { feature: number; below: number } | undefined {
  const score = ({ first, second }: Slope) => first ** 2 / (second + ridge);
  const inside = new Set(at);
  const isInside = examples.map((_, i) => inside.has(i));
  let best: { feature: number; below: number; gain: number } | undefined;
  for (let feature = 0; feature < monotone.length; feature += 1) {
    let left: Slope = { first: 0, second: 0 };
    let here: number | undefined;
    for (const i of orders[feature] as readonly number[]) {
      if (!isInside[i]) continue;
      const next = valueAt(examples, i, feature);
      const right = { first: all.first - left.first, second: all.second - left.second };
      if (here !== undefined && here !== next && left.second >= leaf && right.second >= leaf) {
        const rises = right.first / (right.second + ridge) - left.first / (left.second + ridge);
        const gain = score(left) + score(right) - score(all);
        if ((monotone[feature] ?? 0) * rises >= 0 && gain > (best?.gain ?? 1e-6))
          best = { feature, below: rounded((here + next) / 2), gain };
      }
      const { first, second } = slopes[i] as Slope;
      left = { first: left.first + first, second: left.second + second };
      here = next;
    }
  }
  return best;
}
