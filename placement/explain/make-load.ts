import { MillraceError } from '../../pipelines/errors.js';
import { arrivals, DRAW, drawOf, type Load, loadOf, mergedLoad, traceLoad } from '../simulator/index.js';
import type { Trace } from '../trace/index.js';

/** How the runs of one pipeline arrive. */
export type Arriving =
  | {
      readonly trace: Trace;
      /** The time that it covers, in milliseconds; absent: that from its first run to its last. */
      readonly coversMs?: number;
    }
  | {
      /** Runs per second, and the coefficient of variation of the gaps between them. */
      readonly rate: number;
      readonly cv: number;
      /** By column: sizes of known runs, each run at one index. Every run of the load gets those of one of them, drawn at random. Absent: none. */
      readonly sizes?: Readonly<Record<string, readonly number[]>> | undefined;
    };

/**
 * Runs used to judge a placement: enough for some dozens beyond the 99th percentile and for several times the
 * objective's duration; limited so that a search can simulate them many times.
 */
const RUNS = { least: 4_000, most: 20_000, objectives: 8 };

/**
 * The load of all pipelines, by index. A trace that is too long to be simulated many times is reduced to its busiest
 * stretch. Traces that cover a longer time than another one are reduced to their busiest stretch of that time, if enough runs are left;
 * otherwise the other one counts at a lower rate. The load's assumptions say either. Rates are expanded to enough runs to see queues settle
 * within the objective.
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
  const known = arriving.map((each) => ('trace' in each ? busiest(each) : each));
  const stretches = known.flatMap((each) => ('trace' in each ? [each] : []));
  const ms = sharedMs(stretches);
  const plannedMs = Math.max(0, ...stretches.map(({ coversMs }) => (isLonger(coversMs, ms) ? ms : coversMs)));
  const assumptions: string[] = [];
  const loads = known.map((each, p) => {
    if ('trace' in each) {
      const trace = within(each, ms);
      if (trace !== each.trace) assumptions.push(shortened(p, ms, trace));
      else if (each.isTelling && isLonger(plannedMs, each.coversMs)) assumptions.push(slowed(p, each, plannedMs));
      return traceLoad(trace);
    }
    const count = Math.max(1, Math.round((runs * each.rate) / total));
    const timesMs = arrivals({ count, rate: each.rate, cv: each.cv, seed: seed + p });
    return loadOf(timesMs, drawnSizes(each.sizes ?? {}, count, seed + p));
  });
  const [only] = loads;
  const load = withSizes(loads.length === 1 && only ? only : mergedLoad(loads), stated);
  return { ...load, ...(assumptions.length > 0 && { assumptions }) };
}

/** Sizes for so many runs, each with all sizes of one of the given runs. */
function drawnSizes(given: Readonly<Record<string, readonly number[]>>, count: number, seed: number): Load['sizes'] {
  const [{ length } = []] = Object.values(given);
  const drawn = Array.from({ length: count }, (_, run) => Math.floor(drawOf(seed, run, DRAW.sizes) * length));
  return Object.fromEntries(
    Object.entries(given).map(([column, values]) => [column, Float64Array.from(drawn, (i) => values[i] ?? Number.NaN)]),
  );
}

const shortened = (p: number, ms: number, { timesMs }: Trace): string =>
  `trace ${p + 1}: its busiest ${Math.ceil(ms / 1000)} s are planned for (runs: ${timesMs.length}), as another trace covers no more`;

function slowed(p: number, { trace, coversMs }: Stretch, plannedMs: number): string {
  const rate = Number(((trace.timesMs.length * 1000) / plannedMs).toPrecision(2));
  return `trace ${p + 1} covers ${Math.ceil(coversMs / 1000)} s of ${Math.ceil(plannedMs / 1000)} s: planned at ${rate} runs/s`;
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

/** A trace, the time that it covers, and whether this is known. */
interface Stretch {
  readonly trace: Trace;
  readonly coversMs: number;
  readonly isTelling: boolean;
}

/** The first and the last of fewer runs may be far from the ends of the time in which they came. */
const TELLING = 20;

/** The shortest stretch of a trace with as many runs as are simulated; all of it if it has no more. */
function busiest({ trace, coversMs }: Extract<Arriving, { readonly trace: Trace }>): Stretch {
  const { timesMs } = trace;
  const isTelling = coversMs !== undefined || timesMs.length >= TELLING;
  const span = (from: number, count: number) => (timesMs[from + count - 1] ?? 0) - (timesMs[from] ?? 0);
  const count = Math.min(RUNS.most, timesMs.length);
  if (count === timesMs.length) return { trace, coversMs: coversMs ?? span(0, count), isTelling };
  let from = 0;
  for (let i = 0; i + count <= timesMs.length; i += 1) if (span(i, count) < span(from, count)) from = i;
  return { trace: part(trace, from, from + count), coversMs: span(from, count), isTelling };
}

/**
 * The shortest time that a trace covers in which all of them have enough runs to judge a placement by, or half of their runs; infinite if
 * there is none. Some dozens of runs within a minute of a day would leave hardly any of the others.
 */
function sharedMs(stretches: readonly Stretch[]): number {
  const times = stretches.flatMap(({ coversMs, isTelling }) => (isTelling && coversMs > 0 ? [coversMs] : []));
  const runsIn = (ms: number) => stretches.reduce((sum, each) => sum + within(each, ms).timesMs.length, 0);
  const least = Math.min(RUNS.least, runsIn(Number.POSITIVE_INFINITY) / 2);
  const ascending = [...new Set(times)].sort((a, b) => a - b);
  return ascending.find((ms) => runsIn(ms) >= least) ?? Number.POSITIVE_INFINITY;
}

/** Times that differ by more than this factor are not the same. */
const ALIKE = 1.2;

/** Whether one time is longer than another, and not about the same. */
const isLonger = (ms: number, thanMs: number): boolean => ms > ALIKE * thanMs;

/** The trace, or of one that covers a longer time its busiest part: runs of one pipeline alone would lower the rates of all. */
function within({ trace, coversMs }: Stretch, ms: number): Trace {
  if (!isLonger(coversMs, ms)) return trace;
  const { timesMs } = trace;
  let [from, to] = [0, 0];
  for (let i = 0, j = 0; i < timesMs.length; i += 1) {
    while (j < timesMs.length && (timesMs[j] ?? 0) - (timesMs[i] ?? 0) <= ms) j += 1;
    if (j - i > to - from) [from, to] = [i, j];
  }
  return part(trace, from, to);
}

/** Runs of a trace, the first at 0. */
function part({ timesMs, sizes }: Trace, from: number, to: number): Trace {
  const start = timesMs[from] ?? 0;
  return {
    timesMs: timesMs.slice(from, to).map((t) => t - start),
    sizes: Object.fromEntries(Object.entries(sizes).map(([name, all]) => [name, all.slice(from, to)])),
  };
}
