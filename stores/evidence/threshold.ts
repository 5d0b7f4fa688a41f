import { type Counts, labelsToOpen, permits, upperBound } from './bound.js';

/**
 * Scores of the verifier at which a stage may open, strictest first: log odds from 4.4 to 0 by 0.2, since most scores of good
 * pairs are near 1. A hit belongs to the first step that its score reaches; hits of the guard are step 0.
 */
export const STEPS: readonly number[] = [
  1,
  ...Array.from({ length: 23 }, (_, i) => Number((1 / (1 + Math.exp(0.2 * i - 4.4))).toFixed(4))),
];

/** The step of a verifier's score; undefined below the last. */
export function stepOf(score: number): number | undefined {
  const at = STEPS.findIndex((step, i) => i > 0 && score >= step);
  return at < 0 ? undefined : at;
}

/** What the labels of a stage permit. */
export interface Verdict {
  /** The last step whose hits are served: 0 is the guard alone. */
  readonly open: number;
  /** Upper 90 % bound of the error rate of the hits that are served, or without any of the strictest that could be. */
  readonly bound: number;
  /** Labels of the hits up to that step. */
  readonly counts: Counts;
}

/**
 * The loosest threshold whose hits, together with all stricter ones, have an upper bound of their error rate of
 * `maxErrorRate` at most. The steps are tested in a fixed order, from the strictest on, and testing ends with the first
 * that fails, so that no correction for several tests is needed (fixed-sequence testing in "Learn then test",
 * Angelopoulos et al. 2021, section 2.3). A step with fewer labels than could open it is passed over, whatever they
 * say; the next ones add theirs to it.
 */
export function verdictOf(steps: readonly Counts[], maxErrorRate: number): Verdict {
  const { open, counts } = openOf(steps, maxErrorRate);
  return { open, counts, bound: upperBound(counts) };
}

/** As `verdictOf`, without the bound. */
export function openOf(steps: readonly Counts[], maxErrorRate: number): Omit<Verdict, 'bound'> {
  const least = leastLabels(maxErrorRate);
  let all: Counts = { labels: 0, wrong: 0 };
  let open = 0;
  let counts = all;
  for (const [at, step] of steps.entries()) {
    all = { labels: all.labels + step.labels, wrong: all.wrong + step.wrong };
    if (open === 0) counts = all;
    if (at === 0 || step.labels === 0 || all.labels < least) continue;
    if (!permits(all, maxErrorRate)) break;
    [open, counts] = [at, all];
  }
  return { open, counts };
}

const known = new Map<number, number>();
function leastLabels(maxErrorRate: number): number {
  const least = known.get(maxErrorRate) ?? labelsToOpen(maxErrorRate);
  known.set(maxErrorRate, least);
  return least;
}
