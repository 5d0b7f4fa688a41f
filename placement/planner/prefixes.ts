import { CACHED_COLUMN, type CachedTokens, cachedOf, inCache } from '../simulator/index.js';
import type { PoolAffinity } from './affinity.js';
import { type Candidate, useOn } from './candidate.js';
import type { Problem } from './problem.js';

/** What the prefix caches of a placed pool have of its prompts' tokens. */
interface PoolPrefix extends PoolAffinity {
  /** Share of all tokens of its prompts, with this affinity, and with the other kind of routing; both for its replicas. */
  readonly share: number;
  readonly otherwise: number;
  /** The columns of the load that say so. */
  readonly from: readonly string[];
}

/** Undefined for a pool whose servers cache no prefixes, or of whose prefixes the load says nothing. */
export function prefixOf(problem: Problem, candidate: Candidate, p: number): PoolPrefix | undefined {
  const { affinity, handsTo } = problem.pools[p] ?? {};
  const own = candidate.replicas.filter(({ pool }) => pool === p);
  const use = useOn(problem, candidate, p, own[0]?.devices[0] ?? 0);
  if (affinity === undefined || use === undefined) return undefined;
  const { load } = problem;
  const from = new Set<string>();
  let all = 0;
  let cached = 0;
  let other = 0;
  for (const [v, { pool, pipeline }] of problem.stages.entries()) {
    const table = use.tables[v];
    if (pool !== (handsTo?.pool ?? p) || table?.batching !== 'continuous' || table.routing === undefined) continue;
    const { columnCached = CACHED_COLUMN, columnIn, typicalIn, routing } = table;
    const here = cachedOf(load, columnCached, routing, own.length);
    const there = cachedOf(load, columnCached, routing === 'aware' ? 'unaware' : 'aware', own.length);
    for (const column of here?.from ?? []) from.add(column);
    for (const [run, of] of load.pipelines.entries()) {
      if (of !== pipeline) continue;
      const known = load.sizes[columnIn]?.[run] ?? Number.NaN;
      const tokens = Number.isNaN(known) ? typicalIn : known;
      all += tokens;
      cached += expected(here, run, tokens);
      other += expected(there, run, tokens);
    }
  }
  if (from.size === 0 || !(all > 0)) return undefined;
  return { ...affinity, share: cached / all, otherwise: other / all, from: [...from] };
}

function expected(cached: CachedTokens | undefined, run: number, tokens: number): number {
  if (cached === undefined) return 0;
  const { share, first, second } = cached;
  return share * inCache(first, run, tokens) + (1 - share) * inCache(second, run, tokens);
}
