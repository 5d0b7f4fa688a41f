import type { Load } from './load.js';

/**
 * How calls come to a replica whose server may have computed the beginning of their prompts before. `aware`: by what each replica
 * was sent. `unaware`: to the least loaded one, whatever it has.
 */
export type PrefixRouting = 'aware' | 'unaware';

/**
 * The tokens of prompts that a replica's prefix cache has, by request. A call has those of `first` with probability `share`, else
 * those of `second`; absent: none.
 */
export interface CachedTokens {
  readonly share: number;
  readonly first: Float64Array;
  readonly second?: Float64Array | undefined;
  /** The columns that they are from. */
  readonly from: readonly string[];
}

/** What so many caches have. */
interface Measured {
  readonly column: string;
  readonly caches: number;
  readonly tokens: Float64Array;
}

/** Columns of a load that say which tokens of its prompts prefix caches have. */
interface Columns {
  /** Those that a cache with all earlier prompts has. */
  readonly stated?: Float64Array | undefined;
  /** By routing, in order of the number of caches. */
  readonly known: Readonly<Record<PrefixRouting, readonly Measured[]>>;
}

const read = new WeakMap<Load['sizes'], Map<string, Columns>>();

/** The columns of a load that begin with `name`: `name` itself, `name_aware_4`, `name_unaware_4`. */
function columnsOf({ sizes }: Load, name: string): Columns {
  const before = read.get(sizes) ?? new Map<string, Columns>();
  read.set(sizes, before);
  const found = before.get(name);
  if (found) return found;
  const known = (routing: PrefixRouting) =>
    Object.entries(sizes)
      .flatMap(([column, tokens]): Measured[] => {
        const [, how, caches] = /^(.+)_(\d{1,6})$/.exec(column) ?? [];
        return how === `${name}_${routing}` && Number(caches) > 0 ? [{ column, caches: Number(caches), tokens }] : [];
      })
      .sort((a, b) => a.caches - b.caches);
  const columns = { stated: sizes[name], known: { aware: known('aware'), unaware: known('unaware') } };
  before.set(name, columns);
  return columns;
}

/**
 * What the prefix caches of so many replicas have of a load's prompts; undefined if the load says nothing of it.
 *
 * - Measured columns, `name_aware_4`: of a router that knows the prefixes, those of the largest measured number of caches that is not
 *   above the replicas, since more caches have more room. Of one that does not, a mixture of the two next numbers of caches that is
 *   linear in 1 / replicas: if k earlier prompts had a prefix, one of r replicas has it with probability 1 - (1 - 1/r)^k, which is
 *   concave in 1/r, so that the mixture has no more than that on average. Beyond the largest number N the tokens are those of N with
 *   probability N / replicas.
 * - The stated column, `name`: all of it with a router that knows the prefixes. Without, the replica has it with probability
 *   1 / replicas: as if one earlier prompt had the prefix, which is the least.
 */
export function cachedOf(load: Load, name: string, routing: PrefixRouting, replicas: number): CachedTokens | undefined {
  const { stated, known } = columnsOf(load, name);
  const measured = known[routing];
  if (measured.length > 0) return routing === 'aware' ? atMost(measured, replicas) : mixed(measured, replicas);
  if (stated === undefined) return undefined;
  return { share: routing === 'aware' ? 1 : 1 / Math.max(1, replicas), first: stated, from: [name] };
}

const whole = (found: Measured | undefined): CachedTokens | undefined =>
  found && { share: 1, first: found.tokens, from: [found.column] };

const atMost = (measured: readonly Measured[], replicas: number): CachedTokens | undefined =>
  whole(measured.findLast(({ caches }) => caches <= replicas) ?? measured[0]);

function mixed(measured: readonly Measured[], replicas: number): CachedTokens | undefined {
  const fewer = measured.findLast(({ caches }) => caches <= replicas);
  const more = measured.find(({ caches }) => caches >= replicas);
  if (fewer === undefined || fewer === more) return whole(more);
  if (more === undefined) return { share: fewer.caches / replicas, first: fewer.tokens, from: [fewer.column] };
  const share = (1 / replicas - 1 / more.caches) / (1 / fewer.caches - 1 / more.caches);
  return { share, first: fewer.tokens, second: more.tokens, from: [fewer.column, more.column] };
}

/** Every number of tokens that a prefix cache may have of a load's prompts with this routing, by request; empty: nothing is known. */
export function cachedEver(load: Load, name: string, routing: PrefixRouting): readonly Float64Array[] {
  const { stated, known } = columnsOf(load, name);
  const measured = known[routing].map(({ tokens }) => tokens);
  return measured.length > 0 ? measured : stated ? [stated] : [];
}

/** Whether a column says which tokens prefix caches have. */
export const isCachedColumn = (column: string, name: string): boolean =>
  column === name || (column.startsWith(`${name}_`) && /_(?:un)?aware_\d{1,6}$/.test(column));

/** The tokens of a request's prompt in a cache; at least one is left to process. */
export function inCache(tokens: Float64Array | undefined, request: number, promptTokens: number): number {
  const known = tokens?.[request] ?? 0;
  return known > 0 ? Math.max(0, Math.min(known, promptTokens - 1)) : 0;
}
