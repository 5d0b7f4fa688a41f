import type { Json } from '../../pipelines/json.js';
import type { Example } from './evaluation.js';
import type { Family } from './variants.js';

/** Of a variant's answers, from 0 to 1, with the figures that it is made of. */
export interface Quality {
  readonly quality: number;
  readonly of: Readonly<Record<string, number>>;
}

/** A variant's answers to the examples, in their order; for `embed` followed by those to the passages. */
export type Outputs = readonly Json[];

/** What a family's model is asked: the examples' inputs, and of an encoder also each passage that is expected, once. */
export function questionsOf(family: Family, examples: readonly Example[]): readonly string[] {
  const inputs = examples.map(({ input }) => input);
  return family === 'embed' ? [...inputs, ...passagesOf(examples)] : inputs;
}

/** Compares a variant's answers with the expected ones, and with the original's. */
export function qualityOf(family: Family, examples: readonly Example[], outputs: Outputs, original: Outputs): Quality {
  if (family === 'embed') return embedded(examples, vectors(outputs), vectors(original));
  const texts = outputs.map(String);
  const before = original.map(String);
  const agreed = mean(texts.map((text, i) => (plain(text) === plain(before[i] ?? '') ? 1 : 0)));
  const graded = examples.flatMap(({ expected }, i) =>
    expected.length > 0 ? [{ expected, text: texts[i] ?? '' }] : [],
  );
  if (family === 'chat') {
    if (graded.length === 0) return { quality: agreed, of: { agreed } };
    const right = mean(graded.map(({ expected, text }) => (expected.some((each) => mentions(text, each)) ? 1 : 0)));
    return { quality: right, of: { right, agreed } };
  }
  const wordErrors =
    graded.length > 0
      ? wordErrorRate(graded)
      : wordErrorRate(texts.map((text, i) => ({ text, expected: [before[i] ?? ''] })));
  return { quality: Math.max(0, 1 - wordErrors), of: { wordErrors, agreed } };
}

const passagesOf = (examples: readonly Example[]): readonly string[] => [
  ...new Set(examples.flatMap(({ expected }) => expected)),
];

const mean = (values: readonly number[]): number =>
  values.length === 0 ? 1 : values.reduce((sum, value) => sum + value, 0) / values.length;

/** Without case and signs, as words separated by single spaces. */
export const plain = (text: string): string =>
  text
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}' ]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim();

const mentions = (text: string, expected: string): boolean => ` ${plain(text)} `.includes(` ${plain(expected)} `);

/** Words to change, add or remove, for each word that is expected. Of several expected texts the closest counts. */
function wordErrorRate(pairs: readonly { readonly text: string; readonly expected: readonly string[] }[]): number {
  let wrong = 0;
  let words = 0;
  for (const { text, expected } of pairs) {
    const heard = plain(text).split(' ').filter(Boolean);
    const [best] = expected
      .map((each) => plain(each).split(' ').filter(Boolean))
      .map((wanted) => ({ errors: distance(heard, wanted), length: wanted.length }))
      .sort((a, b) => a.errors - b.errors);
    wrong += best?.errors ?? 0;
    words += best?.length ?? 0;
  }
  return words === 0 ? (wrong === 0 ? 0 : 1) : wrong / words;
}

/** Levenshtein's distance of two lists. */
function distance(a: readonly string[], b: readonly string[]): number {
  let before = b.map((_, i) => i + 1);
  for (const [i, word] of a.entries()) {
    const row: number[] = [];
    for (const [j, other] of b.entries()) {
      const diagonal = j === 0 ? i : (before[j - 1] ?? 0);
      const left = j === 0 ? i + 1 : (row[j - 1] ?? 0);
      row.push(Math.min(diagonal + (word === other ? 0 : 1), left + 1, (before[j] ?? 0) + 1));
    }
    before = row;
  }
  return b.length === 0 ? a.length : (before.at(-1) ?? 0);
}

type Vector = readonly number[];
const vectors = (outputs: Outputs): readonly Vector[] => outputs as unknown as readonly Vector[];

function cosine(a: Vector, b: Vector): number {
  let [dot, of, and] = [0, 0, 0];
  for (const [i, value] of a.entries()) {
    const other = b[i] ?? 0;
    dot += value * other;
    of += value * value;
    and += other * other;
  }
  return of === 0 || and === 0 ? 0 : dot / Math.sqrt(of * and);
}

/**
 * The share of the inputs whose expected passage is the nearest of all passages; without passages, how alike both rank
 * all pairs of texts.
 */
function embedded(examples: readonly Example[], own: readonly Vector[], original: readonly Vector[]): Quality {
  const agreement = mean(own.map((vector, i) => cosine(vector, original[i] ?? [])));
  const rank = rankCorrelation(similarities(own), similarities(original));
  const passages = passagesOf(examples);
  const asked = examples.flatMap(({ expected }, i) =>
    expected.length > 0 ? [{ expected, vector: own[i] ?? [] }] : [],
  );
  if (asked.length === 0 || passages.length < 2) return { quality: Math.max(0, rank), of: { cosine: agreement, rank } };
  const hits = asked.map(({ expected, vector }) => {
    const near = passages.map((_, i) => cosine(vector, own[examples.length + i] ?? []));
    const nearest = near.indexOf(Math.max(...near));
    return expected.includes(passages[nearest] ?? '') ? 1 : 0;
  });
  const hitRate = mean(hits);
  return { quality: hitRate, of: { hitRate, cosine: agreement, rank } };
}

/** Pairs that are compared: all of some 60 texts. */
const MOST_PAIRS = 2_000;

/** Of all pairs of vectors, or of so many of them, evenly chosen. */
function similarities(all: readonly Vector[]): readonly number[] {
  const pairs = all.flatMap((a, i) => all.slice(i + 1).map((b) => [a, b] as const));
  const step = Math.max(1, Math.ceil(pairs.length / MOST_PAIRS));
  return pairs.filter((_, i) => i % step === 0).map(([a, b]) => cosine(a, b));
}

/** Spearman's correlation: how alike two lists rank the same things. */
export function rankCorrelation(a: readonly number[], b: readonly number[]): number {
  if (a.length < 2) return 1;
  const [x, y] = [ranks(a), ranks(b)];
  const middle = (a.length - 1) / 2;
  let [together, ofX, ofY] = [0, 0, 0];
  for (const [i, rank] of x.entries()) {
    const [dx, dy] = [rank - middle, (y[i] ?? 0) - middle];
    together += dx * dy;
    ofX += dx * dx;
    ofY += dy * dy;
  }
  return ofX === 0 || ofY === 0 ? 1 : together / Math.sqrt(ofX * ofY);
}

/** The place of each value; equal values share the mean of theirs. */
function ranks(values: readonly number[]): readonly number[] {
  const order = values.map((value, i) => ({ value, i })).sort((a, b) => a.value - b.value);
  const result = new Array<number>(values.length).fill(0);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (order[to + 1]?.value === order[from]?.value && to + 1 < order.length) to += 1;
    for (let k = from; k <= to; k++) result[order[k]?.i ?? 0] = (from + to) / 2;
    from = to + 1;
  }
  return result;
}
