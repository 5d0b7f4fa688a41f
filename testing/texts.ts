import { createHash } from 'node:crypto';
import type { ResultTexts } from '../activities/results/index.js';
import { type Artifact, artifactUri } from '../pipelines/artifact.js';
import { MillraceError } from '../pipelines/errors.js';

/** Long results of tools, in memory in place of the artifact store. */
export class MemoryTexts {
  readonly #texts = new Map<string, Uint8Array>();

  /** Those of one tenant. */
  of(tenant: string): ResultTexts {
    return {
      read: async ({ uri }) => {
        const bytes = uri.startsWith(artifactUri(tenant, '')) ? this.#texts.get(uri) : undefined;
        if (!bytes) throw new MillraceError('ARTIFACT_NOT_FOUND', `there is no artifact ${uri}`);
        return bytes;
      },
      write: async (bytes, { type }): Promise<Artifact> => {
        const sha256 = createHash('sha256').update(bytes).digest('hex');
        const uri = artifactUri(tenant, sha256);
        this.#texts.set(uri, bytes);
        return { uri, sha256, mime: type, bytes: bytes.length };
      },
    };
  }
}
