import type { Artifact } from '../pipelines/artifact.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';
import { readWhole } from './read-whole.js';

/** Reads an artifact completely, for models that take a file: an image. */
export type BytesPort = (artifact: Artifact) => Promise<Uint8Array>;

/** The bytes are held in memory, also as base64; vision model servers reject images above 20 MB. */
const MOST_BYTES = 20 * 1024 * 1024;

/**
 * Reads files of one tenant's artifacts. Throws `ARTIFACT_NOT_FOUND`, and `BODY_TOO_LARGE` above 20 MiB before reading.
 */
export const createBytesPort =
  (store: ArtifactStore, tenant: string): BytesPort =>
  ({ uri }) =>
    readWhole(store, tenant, uri, { most: MOST_BYTES, limit: 'are sent to a model as a file' });
