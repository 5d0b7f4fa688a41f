export { TOLERANCE } from './drift.js';
export { type LostDevice, type Measured, measuredRate } from './measured.js';
export { objectiveOf } from './objective-of.js';
export { type Replanned, replan } from './replan.js';
export { replanText } from './text.js';
