export { beyondChance, type Promised, promisesOf } from './budgets.js';
export { type Drift, TOLERANCE } from './drift.js';
export { figuresOf } from './figures.js';
export { LOOKED_AT, type LostDevice, type Measured, type MeasuredBudget, measuredRate } from './measured.js';
export { objectiveOf } from './objective-of.js';
export { type Replanned, replan } from './replan.js';
export { replanText } from './text.js';
