/** Finds the texts of one set whose embeddings are nearest to a given one. Vectors have length 1 (L2 norm). */
export interface VectorIndex {
  /** Asks the server what it offers, once a connection. Throws when it does not answer. */
  available(): Promise<boolean>;
  /** What matching is in use, in words for the start-up log. */
  describe(): string;
  /** Adds or replaces an element; the set lives at least `ttlMs` from now. */
  add(set: string, id: string, vector: Float32Array, ttlMs: number): Promise<void>;
  /** The nearest elements, nearest first. */
  search(set: string, vector: Float32Array, count: number): Promise<Neighbour[]>;
  /** Up to `count` elements drawn at random. */
  sample(set: string, count: number): Promise<string[]>;
  remove(set: string, ids: readonly string[]): Promise<void>;
}

export interface Neighbour {
  readonly id: string;
  /** Cosine, from -1 to 1. */
  readonly similarity: number;
}
