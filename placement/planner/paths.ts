import type { SimulatedStage } from '../simulator/index.js';

/** When each stage has ended at the earliest, given these stage times. */
export function earliestEnds(stages: readonly SimulatedStage[], ms: readonly number[]): readonly number[] {
  const until: number[] = [];
  for (const [v, { after }] of stages.entries()) {
    until[v] = (ms[v] ?? 0) + Math.max(0, ...after.map((before) => until[before] ?? 0));
  }
  return until;
}

/** The longest path through each stage, from start to end of its pipeline, given these stage times. */
export function longestPaths(stages: readonly SimulatedStage[], ms: readonly number[]): readonly number[] {
  const until = earliestEnds(stages, ms);
  const behind: number[] = new Array(stages.length).fill(0);
  for (let v = stages.length - 1; v >= 0; v -= 1) {
    for (const before of stages[v]?.after ?? []) {
      behind[before] = Math.max(behind[before] ?? 0, (ms[v] ?? 0) + (behind[v] ?? 0));
    }
  }
  return stages.map((_, v) => (until[v] ?? 0) + (behind[v] ?? 0));
}
