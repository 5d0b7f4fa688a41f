export { withAssumptions, withMeanCalls } from './assume.js';
export { readPipelineShape, shapeOf } from './read-pipeline.js';
export type { PipelineShape, StageFigures, StageShape } from './shape.js';
export { METRICS, type Metric, type StageObjective, spellObjective, stageObjectives } from './stage-objectives.js';
