import {
  type Candidate,
  configOf,
  delayOf,
  type Problem,
  replicasByDevice,
  transfersOf,
  useOn,
} from '../planner/index.js';
import { spellBytes } from '../source/index.js';

/** Why a pool is placed as it is, in a sentence: the load's demand, what it shares, and the alternatives. */
export function reasonOf(problem: Problem, candidate: Candidate, pool: number): string {
  const config = configOf(problem, candidate, pool);
  const own = candidate.replicas.filter((replica) => replica.pool === pool);
  const kinds = new Map<string, number>();
  for (const { devices } of own) {
    const kind = problem.devices[devices[0] ?? 0]?.kind ?? '';
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const parts = [...kinds].map(([kind, count]) => {
    const use = config?.uses[problem.kinds.indexOf(kind)];
    const wide = use && use.width > 1 ? ` of ${use.width} devices` : '';
    return `${count} x ${kind}${wide}: the load keeps at least ${spell(use?.erlangs ?? 0)} busy in batches of up to ${use?.maxBatch ?? 1}`;
  });
  const waits = delayOf(candidate, pool);
  return [
    parts.join(', '),
    waits > 0 ? `its batches wait up to ${spellMs(waits)} to fill` : '',
    handing(problem, candidate, pool),
    sharedWith(problem, candidate, pool),
    otherwise(problem, candidate, pool, new Set(kinds.keys())),
  ]
    .filter((part) => part !== '')
    .join('; ');
}

/** Of a part of a model served apart: which, and what the way of a cache costs. */
function handing(problem: Problem, candidate: Candidate, pool: number): string {
  const { handsTo } = problem.pools[pool] ?? {};
  if (handsTo === undefined) {
    const from = problem.pools.find((other) => other.handsTo?.pool === pool);
    return from ? `answers alone: ${from.model} processes the prompts` : '';
  }
  const { meanTokens, tokenBytes } = handsTo;
  const { meanMs } = transfersOf(problem, candidate, pool);
  return `prompts alone: the cache of one, ${spellBytes(meanTokens * tokenBytes)} on average, takes ${spellMs(meanMs)} to ${problem.pools[handsTo.pool]?.model ?? ''} over the links between them`;
}

const spellMs = (ms: number): string => `${Number(ms.toFixed(ms < 10 ? 1 : 0))} ms`;
const spell = (value: number): string => (value >= 10 ? value.toFixed(0) : value.toFixed(2));

function sharedWith(problem: Problem, candidate: Candidate, pool: number): string {
  const others = new Set<string>();
  for (const there of replicasByDevice(candidate).values()) {
    if (!there.some((replica) => replica.pool === pool)) continue;
    for (const replica of there) if (replica.pool !== pool) others.add(problem.pools[replica.pool]?.model ?? '');
  }
  return others.size > 0 ? `shares with ${[...others].join(', ')}` : '';
}

/** The price of the whole load on the other kinds, by compute time alone. */
function otherwise(problem: Problem, candidate: Candidate, pool: number, used: ReadonlySet<string>): string {
  const config = candidate.configs[pool] ?? 0;
  const variants = problem.pools[pool]?.configs ?? [];
  const own = variants[config];
  const reasons = problem.kinds.flatMap((kind, k) => {
    if (used.has(kind)) return [];
    const uses = variants.flatMap(({ uses: by, variant }) => (variant === own?.variant && by[k] ? [by[k]] : []));
    const ways = problem.cells.flatMap((cell) => {
      if (cell.kind !== k) return [];
      const fitting = uses.filter((use) => use.memoryBytes <= cell.memoryBytes);
      // A device does the work of `capacity` calls at once; a wide replica occupies all devices that it spans.
      const needed = fitting.map(({ erlangs, width }) => Math.max(1, Math.ceil(erlangs / cell.capacity)) * width);
      return needed.map((count) => ({ count, price: count * cell.pricePerHour }));
    });
    const [least] = ways.sort((a, b) => a.price - b.price || a.count - b.count);
    if (least === undefined) return [uses.length === 0 ? `no profile for ${kind}` : `no room on ${kind}`];
    const left = 1 - Math.max(...uses.map(({ heldShare }) => heldShare));
    // What it would take is that of the others alone.
    if (left > 0) return [`${kind} does not hold its longest calls (${Number((100 * left).toPrecision(2))} % of all)`];
    return [`${kind} would take at least ${least.count} (${least.price.toFixed(2)} an hour)`];
  });
  const sameKind = candidate.replicas.find((replica) => replica.pool === pool)?.devices[0];
  const use = sameKind === undefined ? undefined : useOn(problem, candidate, pool, sameKind);
  const batch = use && own && own.maxBatch === 1 && variants.length > 1 ? ['one call at a time is fast enough'] : [];
  return [...reasons, ...batch].join(', ');
}
