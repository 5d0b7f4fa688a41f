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
  for (let round = 0; round < options.rounds; round += 1) {
    const slopes = examples.map(({ same, weight }, i): Slope => {
      const p = 1 / (1 + Math.exp(-(odds[i] as number)));
      return { first: weight * ((same ? 1 : 0) - p), second: weight * p * (1 - p) };
    });
    const all = examples.map((_, i) => i);
    const tree = grow(examples, slopes, all, options, options.depth, [-9, 9]);
    trees.push(tree);
    for (const i of all) odds[i] = (odds[i] as number) + leafOf(tree, (examples[i] as Example).row);
  }
  return { features, bias: rounded(bias), trees };
}

interface Slope {
  readonly first: number;
  readonly second: number;
}

const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
const rounded = (value: number): number => Number(value.toFixed(4));

function grow(
  examples: readonly Example[],
  slopes: readonly Slope[],
  at: readonly number[],
  options: BoostOptions,
  depth: number,
  [least, most]: readonly [number, number],
): Tree {
  const clamp = (value: number) => Math.min(most, Math.max(least, value));
  const value = (s: Slope) => clamp(s.first / (s.second + options.ridge));
  const all = totalOf(slopes, at);
  const leaf = rounded(options.rate * value(all));
  if (depth === 0) return leaf;
  const best = bestSplit(examples, slopes, at, options, all);
  if (!best) return leaf;
  const { feature, below } = best;
  const is = (i: number) => ((examples[i] as Example).row[feature] as number) < below;
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
  return [
    feature,
    below,
    grow(examples, slopes, left, options, depth - 1, bounds[0]),
    grow(examples, slopes, right, options, depth - 1, bounds[1]),
  ];
}

const totalOf = (slopes: readonly Slope[], at: readonly number[]): Slope => ({
  first: sum(at.map((i) => (slopes[i] as Slope).first)),
  second: sum(at.map((i) => (slopes[i] as Slope).second)),
});

function bestSplit(
  examples: readonly Example[],
  slopes: readonly Slope[],
  at: readonly number[],
  { leaf, ridge, monotone }: BoostOptions,
  all: Slope,
): { feature: number; below: number } | undefined {
  const score = ({ first, second }: Slope) => first ** 2 / (second + ridge);
  let best: { feature: number; below: number; gain: number } | undefined;
  for (let feature = 0; feature < monotone.length; feature += 1) {
    const valueAt = (i: number) => (examples[i] as Example).row[feature] as number;
    const order = at.slice().sort((x, y) => valueAt(x) - valueAt(y));
    let [first, second] = [0, 0];
    for (let n = 0; n + 1 < order.length; n += 1) {
      const i = order[n] as number;
      first += (slopes[i] as Slope).first;
      second += (slopes[i] as Slope).second;
      const [here, next] = [valueAt(i), valueAt(order[n + 1] as number)];
      if (here === next || second < leaf || all.second - second < leaf) continue;
      const [left, right] = [
        { first, second },
        { first: all.first - first, second: all.second - second },
      ];
      const rises = right.first / (right.second + ridge) - left.first / (left.second + ridge);
      if ((monotone[feature] ?? 0) * rises < 0) continue;
      const gain = score(left) + score(right) - score(all);
      if (gain > (best?.gain ?? 1e-6)) best = { feature, below: rounded((here + next) / 2), gain };
    }
  }
  return best;
}
