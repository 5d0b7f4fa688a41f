import type { SimulatedStage } from '../simulator/index.js';

/** Whether a stage serves no call in a run. */
type IsIdle = (v: number) => boolean;

/** The stages that have ended when a stage begins. A reader of a stream begins while it is made: only those before the maker have. */
function endedBefore(stages: readonly SimulatedStage[], v: number): readonly number[] {
  const { after = [], streamFrom } = stages[v] ?? {};
  if (streamFrom === undefined) return after;
  return [...after.filter((before) => before !== streamFrom), ...endedBefore(stages, streamFrom)];
}

/**
 * The stages that a stage ends after, its own time later. A reader of a stream reads the last piece when the maker has ended; one that a run skips,
 * or that a cache answers, ends as soon as it begins.
 *
 * @param isIdle default: wherever some run may skip the stage, or have its call answered by a cache
 */
export function endsAfter(stages: readonly SimulatedStage[], v: number, isIdle?: IsIdle): readonly number[] {
  const { after = [], streamFrom, share = 1, cacheHitRate = 0 } = stages[v] ?? {};
  if (streamFrom === undefined) return after;
  const mayBeIdle = isIdle?.(v) ?? (share < 1 || cacheHitRate > 0);
  return mayBeIdle ? endedBefore(stages, v) : after;
}

/** When each stage has ended at the earliest, given these stage times. */
export function earliestEnds(
  stages: readonly SimulatedStage[],
  ms: readonly number[],
  isIdle?: IsIdle,
): readonly number[] {
  const until: number[] = [];
  for (const v of stages.keys()) {
    until[v] = (ms[v] ?? 0) + Math.max(0, ...endsAfter(stages, v, isIdle).map((before) => until[before] ?? 0));
  }
  return until;
}

/** The longest path through each stage, from start to end of its pipeline, given these stage times. */
export function longestPaths(
  stages: readonly SimulatedStage[],
  ms: readonly number[],
  isIdle?: IsIdle,
): readonly number[] {
  const until = earliestEnds(stages, ms, isIdle);
  const behind: number[] = new Array(stages.length).fill(0);
  for (let v = stages.length - 1; v >= 0; v -= 1) {
    for (const before of endsAfter(stages, v, isIdle)) {
      behind[before] = Math.max(behind[before] ?? 0, (ms[v] ?? 0) + (behind[v] ?? 0));
    }
  }
  return stages.map((_, v) => (until[v] ?? 0) + (behind[v] ?? 0));
}
