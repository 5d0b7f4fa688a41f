/** The embedded stack: real servers on this machine, started, supervised and stopped. `up`, `down`, `status`. */
export { NODE_PARTS, type PartName, type PartState, SERVER_PARTS } from './part-spec.js';
export type { Progress } from './progress.js';
export { down, type UpOptions, up } from './stack.js';
export { type PartStatus, type StackStatus, status } from './status.js';
