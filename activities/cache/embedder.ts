/** How the semantic cache gets embeddings; a pool of an `embed` model stands behind it. */
export interface Embedder {
  /** Identifies model and weights: vectors of two fingerprints are never compared. */
  fingerprint(signal: AbortSignal): Promise<string>;
  /** L2-normalised vector. */
  embed(text: string, signal: AbortSignal): Promise<Float32Array>;
}
