import { ATTEMPT } from './calls.js';
import { DRAW, drawOf } from './random.js';
import type { SimulatedStage } from './system.js';

/* What a seed decides of a run whatever the placement. Calls and items are numbered as `numbered` says. */

/** Whether a run takes the branch that a stage is on. */
export const isTaken = ({ share }: SimulatedStage, seed: number, item: number): boolean =>
  share >= 1 || drawOf(seed, item, DRAW.branch) <= share;

/** Whether a cache answers a call. */
export const isCached = ({ cacheHitRate }: SimulatedStage, seed: number, call: number): boolean =>
  cacheHitRate > 0 && drawOf(seed, call, DRAW.cache) <= cacheHitRate;

/** Whether a call fails after so many failed attempts. */
export const failsAfter = ({ failureRate }: SimulatedStage, seed: number, call: number, tries: number): boolean =>
  failureRate > 0 && drawOf(seed, call + tries * ATTEMPT, DRAW.failure) <= failureRate;
