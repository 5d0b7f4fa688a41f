import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';

/**
 * Output of a `classify` stage: the label with the highest score, the first of equals. `scores`: in the labels' order.
 */
export function labelled(scores: readonly number[], labels: readonly string[]): JsonObject {
  expectCount(scores, labels.length, `labels (${labels.join(', ')})`, 'SCORES');
  const best = scores.reduce((at, score, i) => (score > (scores[at] ?? Number.NaN) ? i : at), 0);
  return {
    label: labels[best] ?? '',
    score: scores[best] ?? 0,
    scores: Object.fromEntries(labels.map((label, i) => [label, scores[i] ?? 0])),
  };
}

/**
 * Output of a `rerank` stage: passages and scores, highest first, at most `top`; equal scores keep the given order.
 * `name`: of the tensor, for errors.
 */
export function ranked(
  scores: readonly number[],
  passages: readonly JsonObject[],
  { top = passages.length, name = 'SCORES' }: { readonly top?: number | undefined; readonly name?: string } = {},
): JsonObject {
  expectCount(scores, passages.length, 'passages', name);
  const scored = passages.map((passage, i) => ({ ...passage, score: scores[i] ?? 0 }));
  return { passages: scored.sort((a, b) => b.score - a.score).slice(0, top) };
}

function expectCount(scores: readonly number[], count: number, of: string, name: string): void {
  if (scores.length === count) return;
  throw new MillraceError('INVALID_OUTPUT', `output tensor ${name}: ${scores.length} scores for ${count} ${of}`);
}
