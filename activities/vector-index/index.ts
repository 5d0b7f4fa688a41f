/** Vector indexes in Redis' vector sets, used by `retrieve` and `upsert` stages. */
export { PassageIndex } from './passage-index.js';
export { indexKinds } from './worker-kinds.js';
