import { differenceOf } from '../../activities/cache/lexical-guard.js';
import { isTimely } from '../../activities/cache/timely.js';
import { fused } from '../../activities/cache/verifier/fused.js';
import { scoreOf } from '../../activities/cache/verifier/verifier.js';
import { type Counts, lowerBound, STEPS, stepOf, upperBound, verdictOf } from '../../stores/evidence/index.js';
import { mulberry32, shuffled } from '../random.js';
import type { Pair } from './pairs.js';

/** What a cache did with a pair. */
export interface Judged extends Pair {
  readonly hit: boolean;
}

export interface Figures {
  readonly pairs: number;
  readonly right: number;
  readonly wrong: number;
  /** Pairs that are the same and were no hit. */
  readonly missed: number;
  /** Share of the pairs that are the same. */
  readonly hitRate: number;
  /** Share of the hits that are wrong. */
  readonly errorRate: number;
  /** 90 % interval of the error rate of hits. */
  readonly interval: readonly [number, number];
}

const rounded = (value: number): number => Number(value.toFixed(4));

export function figuresOf(judged: readonly Judged[]): Figures {
  const count = (is: (each: Judged) => boolean) => judged.filter(is).length;
  const right = count(({ hit, same }) => hit && same);
  const wrong = count(({ hit, same }) => hit && !same);
  const missed = count(({ hit, same }) => !hit && same);
  const labels = { labels: right + wrong, wrong };
  return {
    pairs: judged.length,
    right,
    wrong,
    missed,
    hitRate: rounded(right / Math.max(1, right + missed)),
    errorRate: rounded(wrong / Math.max(1, right + wrong)),
    interval: [rounded(labels.labels === 0 ? 0 : lowerBound(labels)), rounded(upperBound(labels))],
  };
}

export function byKind(
  judged: readonly Judged[],
): Record<string, Pick<Figures, 'pairs' | 'right' | 'wrong' | 'missed'>> {
  return Object.fromEntries(
    [...new Set(judged.map(({ kind }) => kind))].sort().map((kind) => {
      const { pairs, right, wrong, missed } = figuresOf(judged.filter((each) => each.kind === kind));
      return [kind, { pairs, right, wrong, missed }];
    }),
  );
}

/** A pair with what the decision depends on. */
export interface Scored extends Pair {
  readonly similarity: number;
  /** Step of the threshold that the pair reaches, 0 for the guard; undefined: no hit at any threshold. */
  readonly step: number | undefined;
}

/** @param entailment what a model of entailment says of the pair, where the verifier asks one */
export function scored(pair: Pair, similarity: number, minSimilarity: number, entailment?: number): Scored {
  const found = differenceOf(pair.a, pair.b);
  const near = similarity >= minSimilarity && !isTimely(pair.a) && !isTimely(pair.b);
  if (!near || found?.soft === false) return { ...pair, similarity, step: undefined };
  if (found === undefined) return { ...pair, similarity, step: 0 };
  const score = scoreOf(pair.a, pair.b, found, similarity);
  return { ...pair, similarity, step: stepOf(entailment === undefined ? score : fused(score, entailment)) };
}

/** Whether a verifier is asked about two texts. */
export const isSoft = ({ a, b }: Pair): boolean => differenceOf(a, b)?.soft === true;

export interface Splits {
  readonly splits: number;
  /** Mean over the splits, on the halves that set no threshold. */
  readonly hitRate: number;
  readonly errorRate: number;
  /** Share of the splits whose realised error is at most `delta`. */
  readonly kept: number;
}

/** Half of the pairs gives labels to an empty stage, the other half is judged; over random halves. */
export function inSplits(pairs: readonly Scored[], delta: number, splits = 100): Splits {
  const results = Array.from({ length: splits }, (_, seed) => {
    const order = shuffled(pairs, mulberry32(1_000 + seed));
    const half = Math.floor(order.length / 2);
    const steps: Counts[] = STEPS.map((_, at) => {
      const own = order.slice(0, half).filter(({ step }) => step === at);
      return { labels: own.length, wrong: own.filter(({ same }) => !same).length };
    });
    const { open } = verdictOf(steps, delta);
    return figuresOf(order.slice(half).map((pair) => ({ ...pair, hit: pair.step !== undefined && pair.step <= open })));
  });
  const mean = (of: (each: Figures) => number) => rounded(results.reduce((sum, each) => sum + of(each), 0) / splits);
  return {
    splits,
    hitRate: mean(({ hitRate }) => hitRate),
    errorRate: mean(({ errorRate }) => errorRate),
    kept: mean(({ errorRate }) => (errorRate <= delta ? 1 : 0)),
  };
}

/** The best static cosine threshold in hindsight: most hits with an error rate of at most `delta`. */
export function bestThreshold(pairs: readonly Scored[], delta: number): { threshold: number; hitRate: number } {
  const order = [...pairs].sort((a, b) => b.similarity - a.similarity);
  const same = pairs.filter((pair) => pair.same).length;
  let [right, wrong, threshold, most] = [0, 0, 1, 0];
  for (const pair of order) {
    if (pair.same) right += 1;
    else wrong += 1;
    if (wrong <= delta * (right + wrong) && right > most) [most, threshold] = [right, pair.similarity];
  }
  return { threshold: rounded(threshold), hitRate: rounded(most / Math.max(1, same)) };
}
