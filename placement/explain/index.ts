export { describe, predictedOf, predictedRunsOf } from './describe.js';
export { type Arriving, makeLoad, RATES } from './make-load.js';
export { makePlacement, type PlannerOptions, searchPlacement } from './make-placement.js';
export { naivePlacements } from './naive.js';
export { explanation } from './one-screen.js';
export { type Serving, waysToServe } from './serving.js';
export { comparisonLine, placementText } from './text.js';
export { whatIf } from './what-if.js';
export { percent, round, type Table } from './words.js';
