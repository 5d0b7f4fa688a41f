import type { ArtifactStore, Inspector } from '../artifacts/index.js';

/** Stores values that are too large for the state store, under the tenant of their run. */
export interface Spill {
  put(tenant: string, text: string): Promise<string>;
  get(tenant: string, uri: string): Promise<string>;
}

const JSON_TEXT: Inspector = { push: () => undefined, end: () => ({ mime: 'application/json' }) };

export const spillTo = (store: Pick<ArtifactStore, 'put' | 'read'>): Spill => ({
  async put(tenant, text) {
    const { uri } = await store.put(tenant, bytesOf(text), JSON_TEXT);
    return uri;
  },
  async get(tenant, uri) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of store.read(tenant, uri)) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  },
});

async function* bytesOf(text: string): AsyncGenerator<Uint8Array, void> {
  yield Buffer.from(text, 'utf8');
}
