export { predictedOf } from './describe.js';
export { type Arriving, makeLoad } from './make-load.js';
export { makePlacement, type PlannerOptions } from './make-placement.js';
export { naivePlacements } from './naive.js';
export { explanation } from './one-screen.js';
export { comparisonLine, placementText } from './text.js';
export { whatIf } from './what-if.js';
