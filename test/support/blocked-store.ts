import { Readable } from 'node:stream';
import { artifactUri } from '../../pipelines/artifact.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';

export interface BlockedStore {
  readonly store: ArtifactStore;
  /** Puts that have begun. */
  begun(): number;
  /** Those that have all bytes, and wait. */
  waiting(): number;
  /** Ends the puts that wait. */
  letGo(): void;
}

/** A store of artifacts whose puts take all bytes, and do not end before `letGo`. */
export function blockedStore(): BlockedStore {
  const waiting: (() => void)[] = [];
  let begun = 0;
  const store: ArtifactStore = {
    async put(tenant, bytes) {
      begun++;
      let size = 0;
      for await (const piece of bytes) size += piece.length;
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
      });
      const sha256 = '0'.repeat(64);
      return { uri: artifactUri(tenant, sha256), sha256, mime: 'audio/wav', bytes: size };
    },
    stat: () => Promise.reject(new Error('nothing is looked up')),
    read: () => Readable.from([]),
    check: async () => undefined,
  };
  return {
    store,
    begun: () => begun,
    waiting: () => waiting.length,
    letGo: () => {
      for (const end of waiting.splice(0)) end();
    },
  };
}
