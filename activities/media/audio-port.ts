import { parseArtifactUri } from '../../pipelines/artifact.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { ArtifactStore } from '../artifacts/store.js';
import type { AudioPort } from '../connectors/connector.js';
import { decodeWav } from './pcm.js';
import { WavInspector } from './wav-inspector.js';
import { writeWav } from './write-wav.js';

/** Audio of one tenant's artifacts as samples. Another tenant's address is `ARTIFACT_NOT_FOUND`, as if it did not exist. */
export function createAudioPort(store: ArtifactStore, tenant: string): AudioPort {
  return {
    read(artifact, format) {
      if (parseArtifactUri(artifact.uri)?.tenant !== tenant) {
        throw new MillraceError('ARTIFACT_NOT_FOUND', `no artifact at ${artifact.uri}`);
      }
      return decodeWav(store.read(artifact.uri), format);
    },
    write: (samples, format) => store.put(tenant, asStream(writeWav(samples, format)), new WavInspector()),
  };
}

async function* asStream<T>(items: Iterable<T>): AsyncGenerator<T, void> {
  yield* items;
}
