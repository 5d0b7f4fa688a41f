import {
  callsIn,
  failsAfter,
  isCached,
  isTaken,
  type Load,
  numbered,
  type SimulatedStage,
} from '../simulator/index.js';

/**
 * By run, 1 if it fails on any placement: by the simulator's own draws, one of its calls fails at every attempt. It is in no percentile, and
 * need not be in time.
 */
export function failingRuns(load: Load, stages: readonly SimulatedStage[], seed: number): Uint8Array {
  const fails = new Uint8Array(load.timesMs.length);
  if (stages.every(({ failureRate }) => failureRate === 0)) return fails;
  const { perRequest, firstCall } = numbered(stages);
  for (const [v, stage] of stages.entries()) {
    if (stage.failureRate === 0) continue;
    for (const [run, pipeline] of load.pipelines.entries()) {
      if (pipeline !== stage.pipeline || !isTaken(stage, seed, run * stages.length + v)) continue;
      const first = run * perRequest + (firstCall[v] as number);
      const calls = callsIn(stage, load, seed, run);
      for (let call = first; call < first + calls && fails[run] === 0; call += 1) {
        if (!isCached(stage, seed, call) && failsAlways(stage, seed, call)) fails[run] = 1;
      }
    }
  }
  return fails;
}

function failsAlways(stage: SimulatedStage, seed: number, call: number): boolean {
  for (let tries = 0; tries < stage.attempts; tries += 1) if (!failsAfter(stage, seed, call, tries)) return false;
  return true;
}
