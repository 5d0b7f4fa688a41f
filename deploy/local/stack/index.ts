/** The embedded stack: starts, supervises and stops real servers on this machine. `up`, `down`, `status`. */
export { NODE_PARTS, type PartName, SERVER_PARTS } from './part-spec.js';
export type { Progress } from './progress.js';
export { down, up } from './stack.js';
export { OUTDATED, outdatedParts, status } from './status.js';
