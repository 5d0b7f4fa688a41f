import { arrivals, type Load, loadOf, mergedLoad, traceLoad } from '../simulator/index.js';
import type { Trace } from '../trace/index.js';

/** How the runs of one pipeline arrive. */
export type Arriving =
  | { readonly trace: Trace }
  /** Runs a second, and the coefficient of variation of the time between two. */
  | { readonly rate: number; readonly cv: number };

/**
 * Runs that a placement is judged by: enough that the 99th percentile is made of some dozens, and that the objective passes
 * several times over; at most as many as a search can simulate often.
 */
const RUNS = { least: 4_000, most: 20_000, objectives: 8 };

/**
 * The load of all pipelines, by their places. Of a trace that is longer than a search can simulate often, the busiest
 * stretch is taken. Rates give as many runs as it takes to see queues settle within the objective.
 */
export function makeLoad(arriving: readonly Arriving[], sloMs: number, seed: number): Load {
  const total = arriving.reduce((sum, each) => sum + ('rate' in each ? each.rate : 0), 0);
  const wanted = (total * sloMs * RUNS.objectives) / 1000;
  const runs = Math.min(RUNS.most, Math.max(RUNS.least, Math.ceil(wanted)));
  const loads = arriving.map((each, p) => {
    if ('trace' in each) return traceLoad(busiest(each.trace));
    const count = Math.max(1, Math.round((runs * each.rate) / total));
    return loadOf(arrivals({ count, rate: each.rate, cv: each.cv, seed: seed + p }));
  });
  const [only] = loads;
  return loads.length === 1 && only ? only : mergedLoad(loads);
}

function busiest({ timesMs, sizes }: Trace): Trace {
  const count = RUNS.most;
  if (timesMs.length <= count) return { timesMs, sizes };
  let from = 0;
  for (let i = 0; i + count <= timesMs.length; i += 1) {
    const span = (at: number) => (timesMs[at + count - 1] ?? 0) - (timesMs[at] ?? 0);
    if (span(i) < span(from)) from = i;
  }
  const start = timesMs[from] ?? 0;
  return {
    timesMs: timesMs.slice(from, from + count).map((t) => t - start),
    sizes: Object.fromEntries(Object.entries(sizes).map(([name, all]) => [name, all.slice(from, from + count)])),
  };
}
