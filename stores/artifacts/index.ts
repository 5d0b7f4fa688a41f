/** Artifact stores: the interface and its implementations. */
export { fileTurns, openFileStore } from './file-store.js';
export { type BudgetedStore, withOutputBudget } from './output-budget.js';
export { pruneArtifacts } from './prune.js';
export type { ArtifactInfo, ArtifactStore, ByteRange, Inspector } from './store.js';
export { isTenant } from './tenant.js';
