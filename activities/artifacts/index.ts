/** Media by address: the port and its drivers. */
export { type FileStoreOptions, openFileStore } from './file-store.js';
export type { ArtifactInfo, ArtifactStore, Inspector } from './store.js';
export { isTenant } from './tenant.js';
