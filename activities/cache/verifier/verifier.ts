import type { Json } from '../../../pipelines/json.js';
import { jsonHash } from '../../../pipelines/plan/hash.js';
import { type Difference, formsOf } from '../lexical-guard.js';
import { featuresOf } from './features.js';
import { probability } from './trees.js';
import { WEIGHTS } from './weights.js';

/** Identifies the verifier: labels of another one say nothing of this one's scores. */
export const VERIFIER = jsonHash(WEIGHTS as unknown as Json).slice(0, 16);

/**
 * How sure the verifier is that two texts, whose difference is soft, ask for the same: from 0 to 1. It orders pairs well
 * and is not calibrated to a stage's traffic; which scores are served is decided by labels of that stage.
 *
 * @param similarity cosine of the texts' embeddings
 */
export function scoreOf(a: string, b: string, found: Difference, similarity: number): number {
  const forms = found.soft ? formsOf(a, b) : undefined;
  return forms ? probability(WEIGHTS, featuresOf(...forms, found, similarity)) : 0;
}
