const HITS: ReadonlySet<string> = new Set(['exact', 'guard', 'verifier', 'entailment']);

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

/** What a seed gave. */
interface OfSeed {
  readonly seed: number;
  readonly failed: number;
  readonly foreign: number;
  readonly errorRate: number;
  readonly hitRate: number;
  /** There were hits after its store was killed, or it was not killed. */
  readonly hitsAfterKill: number | null;
}

/** Share of the seeds that may have more errors than stated: the bound of a stage holds at 90 %. */
const MOST_BROKEN = 0.1;

/** How a stated rate was kept over several seeds. */
export function overSeeds(results: readonly OfSeed[], maxErrorRate: number) {
  const broken = results.filter(({ errorRate }) => errorRate > maxErrorRate);
  const sum = (of: (each: OfSeed) => number) => results.reduce((total, each) => total + of(each), 0);
  const [failed, foreign] = [sum((each) => each.failed), sum((each) => each.foreign)];
  const again = results.every(({ hitsAfterKill }) => hitsAfterKill === null || hitsAfterKill > 0);
  return {
    seeds: results.length,
    failed,
    foreign,
    /** Seeds whose error rate is above the stated one. */
    broken: broken.map(({ seed }) => seed),
    brokenShare: broken.length / Math.max(1, results.length),
    errorRate: sum((each) => each.errorRate) / Math.max(1, results.length),
    worst: Math.max(0, ...results.map(({ errorRate }) => errorRate)),
    hitRate: sum((each) => each.hitRate) / Math.max(1, results.length),
    good: failed === 0 && foreign === 0 && again && broken.length <= MOST_BROKEN * results.length,
  };
}
