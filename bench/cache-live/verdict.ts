const HITS: ReadonlySet<string> = new Set(['exact', 'guard', 'verifier']);

/** Whether an answer came from the cache. `by`: tier of a hit, else the outcome. */
export const isHit = ({ by }: { readonly by: string }): boolean => HITS.has(by);

interface Measured {
  readonly requests: number;
  readonly maxErrorRate: number;
  /** The store was killed before the request in the middle. */
  readonly killed: boolean;
  readonly failed: number;
  readonly foreign: number;
  /** Lower bound of the error rate. */
  readonly least: number;
  /** Number of each request that was a hit. */
  readonly hits: readonly number[];
}

/** Hits on requests after the one before which the store was killed. */
export const hitsAfter = ({ requests, hits }: Pick<Measured, 'requests' | 'hits'>): number =>
  hits.filter((at) => at > requests / 2).length;

/** A cache that has no hit any more after its store was killed is not good, whatever it answers. */
export const isGood = (measured: Measured): boolean =>
  measured.failed === 0 &&
  measured.foreign === 0 &&
  measured.least <= measured.maxErrorRate &&
  (!measured.killed || hitsAfter(measured) > 0);
