/** Passages by meaning, in Redis' vector sets: what `retrieve` and `upsert` stages run on. */
export { PassageIndex } from './passage-index.js';
export { indexKinds } from './worker-kinds.js';
