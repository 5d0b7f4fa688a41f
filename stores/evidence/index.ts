/** What is known of the error rate of a semantic cache's hits, and what it permits. */
export { type Counts, labelsToOpen, lowerBound, upperBound } from './bound.js';
export { drifted, LIMIT } from './drift.js';
export { Evidence, type EvidenceState, type Judged } from './evidence.js';
export { reportWrong } from './report.js';
export { STEPS, stepOf, verdictOf } from './threshold.js';
