import type { SimulatedStage } from './system.js';

/**
 * How stages and calls are numbered. A call: request x calls per request + its index among them. An item, a stage of a
 * request: request x stages + stage.
 */
export interface Numbering {
  /** Calls of a request, the stage of each, and the first index of each stage. */
  readonly perRequest: number;
  readonly stageOfCall: Int32Array;
  readonly firstCall: Int32Array;
  /** By stage: those that wait for it. */
  readonly successors: readonly Int32Array[];
  /** By pipeline: its stages, and those that wait for none. */
  readonly stagesOf: readonly (readonly number[])[];
  readonly firstStages: readonly Int32Array[];
}

export function numbered(stages: readonly SimulatedStage[]): Numbering {
  const firstCall = new Int32Array(stages.length);
  let perRequest = 0;
  for (const [v, stage] of stages.entries()) {
    firstCall[v] = perRequest;
    perRequest += stage.calls;
  }
  const pipelines = 1 + Math.max(...stages.map(({ pipeline }) => pipeline));
  const stagesOf = Array.from({ length: pipelines }, (_, p) =>
    stages.flatMap((stage, v) => (stage.pipeline === p ? [v] : [])),
  );
  return {
    perRequest,
    stageOfCall: Int32Array.from(stages.flatMap((stage, v) => new Array<number>(stage.calls).fill(v))),
    firstCall,
    successors: stages.map((_, v) =>
      Int32Array.from(stages.flatMap((stage, s) => (stage.after.includes(v) ? [s] : []))),
    ),
    stagesOf,
    firstStages: stagesOf.map((own) => Int32Array.from(own.filter((v) => stages[v]?.after.length === 0))),
  };
}
