/** Window for measuring loudness, in seconds: shorter than a pause between words, longer than a period of any voice. */
const WINDOW_S = 0.02;
/** Steps from window to window, in windows. */
const STEP = 0.25;
/**
 * The share of the samples, at their end, that is searched: a smaller one keeps parts long, a larger one finds more
 * pauses.
 */
const SEARCHED = 0.2;

/**
 * The index at which a cut is least audible: the middle of the quietest window in the last fifth of the samples; among
 * equally quiet windows, the last. Between 1 and the number of samples.
 */
export function quietestCut(samples: Int16Array, sampleRate: number): number {
  const window = Math.max(1, Math.round(WINDOW_S * sampleRate));
  const step = Math.max(1, Math.round(window * STEP));
  const first = Math.max(0, Math.ceil(samples.length * (1 - SEARCHED)));
  let cut = samples.length;
  let least = Number.POSITIVE_INFINITY;
  for (let start = first; start + window <= samples.length; start += step) {
    const loudness = energy(samples, start, start + window);
    if (loudness > least) continue;
    least = loudness;
    cut = start + Math.ceil(window / 2);
  }
  return cut;
}

function energy(samples: Int16Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i < to; i++) sum += (samples[i] as number) ** 2;
  return sum;
}
