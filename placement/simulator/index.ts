export { failsAfter, isCached, isTaken } from './draws.js';
export { callsIn, meanCalls } from './fan-out.js';
export { arrivals, type Load, loadOf, mergedLoad, rateOf, repeatedLoad, traceLoad } from './load.js';
export { numbered } from './numbering.js';
export { mayBeLate, percentile, sortedNumbers } from './percentile.js';
export {
  type CachedTokens,
  cachedEver,
  cachedOf,
  inCache,
  isCachedColumn,
  type PrefixRouting,
} from './prefix.js';
export { DRAW, drawOf } from './random.js';
export { Simulator } from './simulator.js';
export { bendsOf, evenSteps, type StepTimes, shortestStep, slopeAt, stepAt } from './steps.js';
export type {
  FanOut,
  Observed,
  SimulatedDevices,
  SimulatedPlacement,
  SimulatedPool,
  SimulatedStage,
  SimulationOptions,
  SimulationResult,
} from './system.js';
export {
  CACHED_COLUMN,
  type ContinuousTable,
  type Curve,
  type DynamicTable,
  firstContinuous,
  leastPromptAt,
  leastTimeAt,
  meanAt,
  meanPromptAt,
  promptAt,
  promptCurve,
  quantileAt,
  type Table,
  tableOf,
} from './table.js';
