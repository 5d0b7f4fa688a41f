import type { OutputEntry } from './map-schema.js';
import type { Numbers } from './numbers.js';

/** Scores of rows of `width` classes as the map's activation makes them of logits. */
export function activated(values: Numbers, activation: OutputEntry['activation'], width: number): Numbers {
  if (activation === 'sigmoid') return values.map(sigmoid);
  if (activation !== 'softmax') return values;
  const scores = values.slice();
  for (let start = 0; start < scores.length; start += width) softmax(scores.subarray(start, start + width));
  return scores;
}

const sigmoid = (logit: number): number => 1 / (1 + Math.exp(-logit));

function greatestOf(row: Numbers): number {
  let greatest = Number.NEGATIVE_INFINITY;
  for (const value of row) greatest = Math.max(greatest, value);
  return greatest;
}

/** In place; the greatest logit is subtracted first, so that no power overflows. */
function softmax(row: Numbers): void {
  const greatest = greatestOf(row);
  let sum = 0;
  for (let i = 0; i < row.length; i++) {
    row[i] = Math.exp((row[i] as number) - greatest);
    sum += row[i] as number;
  }
  for (let i = 0; i < row.length; i++) row[i] = (row[i] as number) / sum;
}
