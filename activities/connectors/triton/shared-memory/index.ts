/** Large tensors in shared memory, for a Triton on the same node (options.sharedMemoryBytes of a pool). */
export { regionCalls } from './calls.js';
export { Regions } from './regions.js';
export { isTooSmall, isUnknownRegion, SharedTensors } from './shared-tensors.js';
