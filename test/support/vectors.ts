import { mulberry32 } from '../../bench/random.js';

/** Vectors of length 1 in directions that a seed decides. */
export function randomVectors(count: number, dimensions: number, seed: number): Float32Array[] {
  const random = mulberry32(seed);
  return Array.from({ length: count }, () => {
    const values = Array.from({ length: dimensions }, () => random() - 0.5);
    const length = Math.hypot(...values);
    return Float32Array.from(values, (value) => value / length);
  });
}

/** Positions of the vectors by their cosine with `query`, nearest first: the exact search. */
export function byCosine(vectors: readonly Float32Array[], query: Float32Array): number[] {
  const cosines = vectors.map((vector) => vector.reduce((sum, value, i) => sum + value * (query[i] ?? 0), 0));
  return [...cosines.keys()].sort((a, b) => (cosines[b] ?? 0) - (cosines[a] ?? 0));
}
