import type { Artifact } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';
import type { ArtifactStore } from '../stores/artifacts/store.js';

/** Reads an artifact completely, for models that take a file: an image. */
export type BytesPort = (artifact: Artifact) => Promise<Uint8Array>;

/** The bytes are held in memory, also as base64; vision model servers reject images above 20 MB. */
const MOST_BYTES = 20 * 1024 * 1024;

/**
 * Reads files of one tenant's artifacts. Throws `ARTIFACT_NOT_FOUND`, and `BODY_TOO_LARGE` above 20 MiB before reading.
 */
export const createBytesPort =
  (store: ArtifactStore, tenant: string): BytesPort =>
  async (artifact) => {
    const { uri, bytes } = await store.stat(tenant, artifact.uri);
    if (bytes > MOST_BYTES) {
      const message = `${uri} has ${bytes} bytes; at most ${MOST_BYTES} are sent to a model as a file`;
      throw new MillraceError('BODY_TOO_LARGE', message);
    }
    const parts: Uint8Array[] = [];
    for await (const part of store.read(tenant, uri)) parts.push(part);
    return Buffer.concat(parts);
  };
