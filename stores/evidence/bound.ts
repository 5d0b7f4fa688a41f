/**
 * Bounds on an error rate that hold at every moment, however often they are looked at: betting martingales (Waudby-Smith
 * and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024, section 4), for labels that are
 * right (0) or wrong (1). Against the hypothesis that the rate is `p` or more, a bettor gains `1 + bet × p` with each
 * right label and keeps `1 - bet × (1 - p)` with each wrong one; a mixture of constant bets depends on the counts alone.
 * By Ville's inequality its wealth exceeds `1 / alpha` at any time with probability `alpha` at most if the rate is `p` or
 * more.
 */

/**
 * Fractions of the largest bet that cannot go broke below zero, and the share of the wealth on each. The first alone survives no
 * wrong label; with the second, one wrong label costs as few further ones as it can without more labels where none is wrong; the others
 * speak for rates that are little below `p`. A mixture that is better in one of these is worse in another: at the rate `p` the chance to
 * exceed `1 / alpha` at any time is 9.4 % (`p` 0.05) and 9.6 % (0.1) of the 10 % that Ville's inequality allows.
 */
const BETS: readonly (readonly [fraction: number, share: number])[] = [
  [1, 0.55],
  [0.8, 0.4],
  [0.45, 0.03],
  [0.2, 0.02],
];

/** One minus the confidence of every bound here. */
export const ALPHA = 0.1;

export interface Counts {
  readonly labels: number;
  readonly wrong: number;
}

/** Logarithm of the wealth against "the rate is `p` or more". */
function logWealth({ labels, wrong }: Counts, p: number): number {
  const parts = BETS.map(([fraction, share]) => {
    const bet = fraction / (1 - p);
    const lost = 1 - bet * (1 - p);
    const ofWrong = wrong === 0 ? 0 : lost <= 0 ? Number.NEGATIVE_INFINITY : wrong * Math.log(lost);
    return Math.log(share) + (labels - wrong) * Math.log1p(bet * p) + ofWrong;
  });
  const most = Math.max(...parts);
  return most + Math.log(parts.reduce((sum, part) => sum + Math.exp(part - most), 0));
}

/** The least rate that the labels speak against at 90 %; 1 without labels. */
export function upperBound(counts: Counts, alpha = ALPHA): number {
  const enough = (p: number) => logWealth(counts, p) >= -Math.log(alpha);
  let [low, high] = [counts.labels === 0 ? 1 : counts.wrong / counts.labels, 1 - 1e-9];
  if (low >= high || !enough(high)) return 1;
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (enough(middle)) high = middle;
    else low = middle;
  }
  return high;
}

/** Whether the upper bound is `rate` at most; without searching for the bound. */
export const permits = (counts: Counts, rate: number): boolean => logWealth(counts, rate) >= -Math.log(ALPHA);

/** The largest rate that the labels speak against from below. */
export const lowerBound = ({ labels, wrong }: Counts, alpha = ALPHA): number =>
  1 - upperBound({ labels, wrong: labels - wrong }, alpha);

/** How many labels, all right but `wrong` of them, bring the upper bound to `rate`. */
export function labelsToOpen(rate: number, wrong = 0): number {
  let labels = wrong;
  while (!permits({ labels, wrong }, rate) && labels < 100_000) labels += 1;
  return labels;
}
