/** Incremented when the rule changes: labels of another one say nothing of this one's scores. */
export const FUSION = 1;

/**
 * Bounds of the two probabilities. The bound of a no is further out than that of a yes, so that the surest yes of one does not
 * lift the surest no of the other to a score that may be served.
 */
const [SUREST_NO, SUREST_YES] = [0.005, 0.99];

/**
 * The verifier's score of a pair together with how surely its texts entail each other: the mean of their log odds (a
 * logarithmic opinion pool with equal weights; Genest and Zidek, "Combining probability distributions", Statistical Science
 * 1986). It rises with each of the two. Neither is calibrated to a stage's traffic, and nor is this: which scores are served
 * is decided by labels of the stage.
 */
export const fused = (score: number, entailment: number): number =>
  1 / (1 + Math.exp(-(logOdds(score) + logOdds(entailment)) / 2));

function logOdds(probability: number): number {
  const p = Math.min(SUREST_YES, Math.max(SUREST_NO, probability));
  return Math.log(p / (1 - p));
}
