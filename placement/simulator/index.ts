export { type ArrivalOptions, arrivals, type Load, loadOf, mergedLoad, rateOf, traceLoad } from './load.js';
export { mayBeLate, percentile, sortedNumbers } from './percentile.js';
export { drawOf } from './random.js';
export { Simulator } from './simulator.js';
export type {
  SimulatedDevices,
  SimulatedPlacement,
  SimulatedPool,
  SimulatedReplica,
  SimulatedStage,
  SimulationOptions,
  SimulationResult,
  StageResult,
} from './system.js';
export { type Curve, meanAt, quantileAt, type Table, tableOf } from './table.js';
