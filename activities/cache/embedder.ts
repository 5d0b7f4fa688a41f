import type { Priority } from '../../pipelines/plan/index.js';
import { plainContext } from '../connectors/plain-context.js';
import type { Pools } from '../pools/index.js';

/** Provides embeddings to the semantic cache, from a pool of an `embed` model. */
export interface Embedder {
  /** Identifies model and weights: vectors with different fingerprints are never compared. */
  fingerprint(signal: AbortSignal): Promise<string>;
  /** L2-normalised vector. */
  embed(text: string, signal: AbortSignal, caller: EmbedCaller): Promise<Float32Array>;
}

/** The caller of an embedding, which counts and queues at the pool as the stage's own calls do. */
export interface EmbedCaller {
  readonly tenant: string;
  /** Who stores the vector, for the allowance of each caller. Absent: the tenant's alone. */
  readonly insertedBy?: string | undefined;
  /** Absent: `default`. */
  readonly priority?: Priority | undefined;
  /** Longest wait in the embedder's queue, in milliseconds. Absent: until the signal aborts. */
  readonly queueMs?: number | undefined;
}

/** A pool of an `embed` model, as an embedder for the semantic cache and the vector index. */
export function embedderOf(pools: Pools, name: string): Embedder {
  // Looked up for every call: a changed models file replaces pools.
  const pool = () => pools.get(name);
  pool();
  return {
    fingerprint: (signal) => pool().identity(signal),
    async embed(text, signal, { tenant, priority, queueMs }) {
      const { output } = await pool().use(
        (backend, { model }, own) =>
          backend.invoke({ kind: 'embed', model, with: {}, input: { text } }, plainContext(own)),
        { signal, tenant, priority, queueMs },
      );
      return Float32Array.from(output.embedding as readonly number[]);
    },
  };
}
