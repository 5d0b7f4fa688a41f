/**
 * Trains the verifier of the semantic cache on `training/pairs.jsonl` and writes its weights. The texts are this
 * project's own; the judging sets are never read. The same pairs and embedder give the same weights.
 *
 *   npm run bench:cache -- train
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { differenceOf, formsOf } from '../../activities/cache/lexical-guard.js';
import { FEATURES, featuresOf } from '../../activities/cache/verifier/features.js';
import { boost, type Example } from './boost.js';
import { readPairs } from './pairs.js';

const PAIRS = 'bench/cache/training/pairs.jsonl';
const WEIGHTS = 'activities/cache/verifier/weights.ts';

/** What only speaks for sameness (1) or against it (-1), so that trees from few pairs do not learn accidents. */
const SIGNS: Partial<Record<(typeof FEATURES)[number], -1 | 1>> = {
  similarity: 1,
  unmatched: -1,
  matched: 1,
  focus: -1,
  persons: -1,
  contentShared: 1,
  shared: 1,
  thesaurus: 1,
  kin: -1,
  lost: -1,
  lostFewer: -1,
  lostNouns: -1,
  replaced: -1,
  grams: 1,
  head: -1,
  asked: -1,
  opposed: -1,
  order: 1,
};

/** Chosen by cross-validation on the training pairs alone, all pairs of a block of questions in one part. */
const OPTIONS = {
  rounds: 80,
  depth: 3,
  rate: 0.15,
  leaf: 8,
  ridge: 2,
  monotone: FEATURES.map((feature) => SIGNS[feature] ?? (0 as const)),
};

/** @param similarityOf cosine of the embeddings of two texts */
export async function train(similarityOf: (a: string, b: string) => Promise<number>): Promise<string> {
  const soft: Omit<Example, 'weight'>[] = [];
  for (const { a, b, same } of readPairs(PAIRS)) {
    const found = differenceOf(a, b);
    const forms = found?.soft ? formsOf(a, b) : undefined;
    if (!found || !forms) continue;
    const similarity = Number((await similarityOf(a, b)).toFixed(4));
    soft.push({ row: featuresOf(...forms, found, similarity), same });
  }
  // Pairs that are the same have half of the weight, so that the scores of both spread over the whole range.
  const share = soft.filter(({ same }) => same).length / soft.length;
  const examples = soft.map((each): Example => ({ ...each, weight: 0.5 / (each.same ? share : 1 - share) }));
  const forest = boost(examples, FEATURES, OPTIONS);
  const hash = createHash('sha256').update(readFileSync(PAIRS)).digest('hex').slice(0, 16);
  const text = `import type { Forest } from './trees.js';

/**
 * Written by \`npm run bench:cache -- train\` from ${examples.length} soft pairs of \`${PAIRS}\`
 * (sha256 ${hash}…), all of this project, with the embedder all-MiniLM-L6-v2 (int8). Not to be edited.
 */
export const WEIGHTS: Forest = JSON.parse(
  '${JSON.stringify(forest)}',
);
`;
  writeFileSync(WEIGHTS, text);
  return `${examples.length} examples, ${forest.trees.length} trees`;
}
