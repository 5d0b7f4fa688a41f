/** What is known of a loaded model's use at its server. */
export interface ModelUse {
  readonly name: string;
  /** Memory that it takes when it is loaded. */
  readonly bytes: number;
  /** Calls until `at`; older ones count less. */
  readonly uses: number;
  /** When it was last used or loaded, in milliseconds. */
  readonly at: number;
  /** The evictions' clock at that time. */
  readonly clock: number;
  /** How long it takes to load, in milliseconds. Absent: not measured yet. */
  readonly loadMs?: number | undefined;
}

/** What keeping a model is worth. The models of the least worth are evicted first. */
export type Worth = (use: ModelUse) => number;

const MEBIBYTE = 2 ** 20;
/** Speed that is assumed until a model's loading has been measured: a gibibyte in a second. */
const UNMEASURED_MS_PER_MEBIBYTE = 1;

/**
 * GreedyDual-Size-Frequency: uses × cost / size on top of the clock at the last use, where the cost is the time of loading and the clock
 * rises to the worth of each model that is evicted, so that what is not used any more falls behind. L. Cherkasova, "Improving WWW
 * Proxies Performance with Greedy-Dual-Size-Frequency Caching Policy", HP Labs technical report HPL-98-69R1, 1998, after P. Cao and S.
 * Irani, "Cost-Aware WWW Proxy Caching Algorithms", USENIX Symposium on Internet Technologies and Systems, 1997. Unlike there, uses are
 * remembered after an eviction, and fade.
 */
export const greedyDual: Worth = ({ bytes, uses, clock, loadMs }) => {
  const mebibytes = bytes / MEBIBYTE;
  const cost = loadMs ?? mebibytes * UNMEASURED_MS_PER_MEBIBYTE;
  return clock + (uses * cost) / mebibytes;
};

/** Least recently used first, whatever the models cost. For comparison. */
export const leastRecent: Worth = ({ at }) => at;

/** The evictions' clock after these models were evicted. */
export const clockAfter = (clock: number, evicted: readonly ModelUse[], worth: Worth): number =>
  Math.max(clock, ...evicted.map(worth));

/**
 * Which idle models have to go so that `needed` bytes become free: those of the least worth, and none whose memory the others make
 * unnecessary. Undefined if all of them together are not enough.
 */
export function victimsFor(needed: number, idle: readonly ModelUse[], worth: Worth): readonly ModelUse[] | undefined {
  const ranked = idle.toSorted((a, b) => worth(a) - worth(b) || (a.name < b.name ? -1 : 1));
  const chosen: ModelUse[] = [];
  let freed = 0;
  for (const each of ranked) {
    if (freed >= needed) break;
    chosen.push(each);
    freed += each.bytes;
  }
  if (freed < needed) return undefined;
  // A large model that was chosen last may make smaller ones before it unnecessary; the most valuable of these stay first.
  for (const each of chosen.toReversed()) {
    if (freed - each.bytes < needed) continue;
    chosen.splice(chosen.indexOf(each), 1);
    freed -= each.bytes;
  }
  return chosen;
}
