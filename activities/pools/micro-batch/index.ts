export { MicroBatches } from './micro-batches.js';
export { Suspects } from './suspects.js';
