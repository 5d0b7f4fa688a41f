import type { Priority } from '../../pipelines/plan/index.js';

/** How the semantic cache gets embeddings; a pool of an `embed` model stands behind it. */
export interface Embedder {
  /** Identifies model and weights: vectors of two fingerprints are never compared. */
  fingerprint(signal: AbortSignal): Promise<string>;
  /** L2-normalised vector. */
  embed(text: string, signal: AbortSignal, caller: EmbedCaller): Promise<Float32Array>;
}

/** For whom an embedding is made: it counts and queues at the pool as the stage's own calls do. */
export interface EmbedCaller {
  readonly tenant: string;
  /** Absent: `default`. */
  readonly priority?: Priority | undefined;
  /** Longest wait for a place at the embedder, in milliseconds. Absent: no limit but the signal. */
  readonly queueMs?: number | undefined;
}
