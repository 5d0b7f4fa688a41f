export { predictedOf } from './describe.js';
export { type Arriving, makeLoad } from './make-load.js';
export { makePlan, type PlanOptions } from './make-plan.js';
export { naivePlacements } from './naive.js';
export { comparisonLine, placementText } from './text.js';
export { whatIf } from './what-if.js';
