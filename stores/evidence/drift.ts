/**
 * Detects that errors have become frequent: Page's cumulative sum of likelihood ratios (Page, "Continuous inspection
 * schemes", Biometrika 1954) between a rate of `maxErrorRate` and three times that. As a sum of e-processes that start
 * at each label, it alarms on average not before `LIMIT` labels while the rate is at most `maxErrorRate`.
 */
export function drifted(sum: number, wrong: boolean, maxErrorRate: number): number {
  const worse = Math.min(3 * maxErrorRate, (1 + maxErrorRate) / 2);
  return Math.max(sum, 1) * (wrong ? worse / maxErrorRate : (1 - worse) / (1 - maxErrorRate));
}

/** The sum at which a stage closes and its labels are forgotten. */
export const LIMIT = 200;
