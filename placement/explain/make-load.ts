import { MillraceError } from '../../pipelines/errors.js';
import { arrivals, type Load, loadOf, mergedLoad, traceLoad } from '../simulator/index.js';
import type { Trace } from '../trace/index.js';

/** How the runs of one pipeline arrive. */
export type Arriving =
  | { readonly trace: Trace }
  /** Runs per second, and the coefficient of variation of the gaps between them. */
  | { readonly rate: number; readonly cv: number };

/**
 * Runs used to judge a placement: enough for some dozens beyond the 99th percentile and for several times the
 * objective's duration; limited so that a search can simulate them many times.
 */
const RUNS = { least: 4_000, most: 20_000, objectives: 8 };

/**
 * The load of all pipelines, by index. A trace that is too long to be simulated many times is reduced to its busiest
 * stretch. Rates are expanded to enough runs to see queues settle within the objective.
 *
 * @param stated by column: the size of every run that the load does not state
 */
export function makeLoad(
  arriving: readonly Arriving[],
  sloMs: number,
  seed: number,
  stated: Readonly<Record<string, number>> = {},
): Load {
  for (const each of arriving) {
    if (!('rate' in each)) continue;
    checkRate(each.rate);
    checkVariation(each.cv);
  }
  const total = arriving.reduce((sum, each) => sum + ('rate' in each ? each.rate : 0), 0);
  const wanted = (total * sloMs * RUNS.objectives) / 1000;
  const runs = Math.min(RUNS.most, Math.max(RUNS.least, Math.ceil(wanted)));
  const loads = arriving.map((each, p) => {
    if ('trace' in each) return traceLoad(busiest(each.trace));
    const count = Math.max(1, Math.round((runs * each.rate) / total));
    return loadOf(arrivals({ count, rate: each.rate, cv: each.cv, seed: seed + p }));
  });
  const [only] = loads;
  return withSizes(loads.length === 1 && only ? only : mergedLoad(loads), stated);
}

function withSizes(load: Load, stated: Readonly<Record<string, number>>): Load {
  const added = Object.entries(stated).map(([column, value]) => {
    const known = load.sizes[column];
    return [
      column,
      load.timesMs.map((_, i) => (Number.isNaN(known?.[i] ?? Number.NaN) ? value : (known?.[i] as number))),
    ];
  });
  return { ...load, sizes: { ...load.sizes, ...Object.fromEntries(added) } };
}

/** Rates beyond are mistakes, and their times no numbers that can be told apart. */
export const RATES = { least: 1e-6, most: 1e6 };

function checkRate(rate: number): void {
  if (rate >= RATES.least && rate <= RATES.most) return;
  const message = `${rate} runs a second: give a rate from ${RATES.least} to ${RATES.most}`;
  throw new MillraceError('INVALID_INPUT', `--rate: ${message}`, { fields: [{ field: '--rate', message }] });
}

/** Some thousand runs with a larger variation do not have the stated rate; a smaller one is none. */
const VARIATIONS = { least: 0.01, most: 30 };

function checkVariation(cv: number): void {
  if (cv >= VARIATIONS.least && cv <= VARIATIONS.most) return;
  const message = `${cv}: give a coefficient of variation from ${VARIATIONS.least} to ${VARIATIONS.most}`;
  throw new MillraceError('INVALID_INPUT', `--cv: ${message}`, { fields: [{ field: '--cv', message }] });
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
