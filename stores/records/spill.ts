import type { ArtifactStore } from '../artifacts/index.js';

/** Stores values that are too large for the state store, under the tenant of their run. */
export interface Spill {
  /**
   * Returns their address. `parts` are stored one after another.
   * @param signal when it aborts, nothing more is written: what is given up is stored only if all of it was written by then
   */
  put(tenant: string, parts: readonly Uint8Array[], mime: string, signal?: AbortSignal): Promise<string>;
  /** Throws `ARTIFACT_NOT_FOUND`, `ARTIFACT_CORRUPT` and `STORE_UNAVAILABLE`. */
  get(tenant: string, uri: string): Promise<Buffer>;
}

export const spillTo = (store: Pick<ArtifactStore, 'put' | 'read'>): Spill => ({
  async put(tenant, parts, mime, signal) {
    const { uri } = await store.put(tenant, inOrder(parts, signal), { push: () => undefined, end: () => ({ mime }) });
    return uri;
  },
  async get(tenant, uri) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of store.read(tenant, uri)) chunks.push(chunk);
    return Buffer.concat(chunks);
  },
});

async function* inOrder(parts: readonly Uint8Array[], signal?: AbortSignal): AsyncGenerator<Uint8Array, void> {
  for (const part of parts) {
    signal?.throwIfAborted();
    yield part;
  }
  signal?.throwIfAborted();
}
