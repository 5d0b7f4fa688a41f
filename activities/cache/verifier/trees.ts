/** A node: a test of one feature (go left if below), or a leaf with its value. */
export type Tree = readonly [feature: number, below: number, left: Tree, right: Tree] | number;

/** Boosted trees: the sum of the leaves is the logarithm of the odds. */
export interface Forest {
  readonly features: readonly string[];
  readonly bias: number;
  readonly trees: readonly Tree[];
}

/** The probability that a forest gives to a row of features. */
export function probability({ bias, trees }: Forest, row: readonly number[]): number {
  let odds = bias;
  for (const tree of trees) odds += leafOf(tree, row);
  return 1 / (1 + Math.exp(-odds));
}

/** The value of the leaf that a row falls into. */
export function leafOf(tree: Tree, row: readonly number[]): number {
  let node = tree;
  while (typeof node !== 'number') {
    const [feature, below, left, right]: Exclude<Tree, number> = node;
    node = (row[feature] ?? 0) < below ? left : right;
  }
  return node;
}
