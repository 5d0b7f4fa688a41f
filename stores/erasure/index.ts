/** Erasure of what is kept of a run under the names of its stages. */
export { RunErasure } from './run-erasure.js';
