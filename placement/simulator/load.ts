import type { Trace } from '../trace/index.js';
import { DRAW, stream } from './random.js';

/** Requests to simulate. */
export interface Load {
  /** Arrival times in milliseconds, not decreasing. */
  readonly timesMs: Float64Array;
  /** The pipeline of each, by index among the simulated ones. */
  readonly pipelines: Uint16Array;
  /** Sizes of each by column name; a missing column is replaced by the typical size. */
  readonly sizes: Readonly<Record<string, Float64Array>>;
  /** What was assumed to make it of what was given, in sentences for people. Absent: nothing. */
  readonly assumptions?: readonly string[];
}

/** Arrival process without a trace. */
export interface ArrivalOptions {
  readonly count: number;
  /** Requests per second. */
  readonly rate: number;
  readonly seed: number;
  /** Coefficient of variation of the gaps: 1 is a Poisson process, above it is bursty. Default 1. */
  readonly cv?: number;
  /**
   * The rate follows a sine with this period in milliseconds and this amplitude as a share of the rate, from 0 to 1.
   */
  readonly diurnal?: { readonly periodMs: number; readonly amplitude: number };
}

/** Times of a renewal process with gamma-distributed gaps. */
export function arrivals({ count, rate, seed, cv = 1, diurnal }: ArrivalOptions): Float64Array {
  const draw = stream(seed, DRAW.arrivals);
  const gap = cv === 1 ? () => -Math.log(draw()) : cv === 0 ? () => 1 : gamma(1 / (cv * cv), draw);
  const times = new Float64Array(count);
  let unscaled = 0;
  for (let i = 0; i < count; i += 1) {
    unscaled += (gap() * 1000) / rate;
    times[i] = diurnal ? stretched(unscaled, diurnal) : unscaled;
  }
  return times;
}

/** The time at which a process of rate 1 + a·sin(2πt/p) has had as many arrivals as a uniform one at `even`. */
function stretched(even: number, { periodMs, amplitude }: NonNullable<ArrivalOptions['diurnal']>): number {
  const turn = (2 * Math.PI) / periodMs;
  const had = (t: number) => t + (amplitude / turn) * (1 - Math.cos(turn * t));
  let low = Math.max(0, even - (2 * amplitude) / turn);
  let high = even;
  for (let i = 0; i < 50; i += 1) {
    const middle = (low + high) / 2;
    if (had(middle) < even) low = middle;
    else high = middle;
  }
  return high;
}

/** Gamma variates with mean 1 (Marsaglia and Tsang 2000). */
function gamma(shape: number, draw: () => number): () => number {
  const k = shape < 1 ? shape + 1 : shape;
  const d = k - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  const boosted = shape < 1 ? () => draw() ** (1 / shape) : () => 1;
  return () => {
    for (;;) {
      const x = Math.sqrt(-2 * Math.log(draw())) * Math.cos(2 * Math.PI * draw());
      const v = (1 + c * x) ** 3;
      if (v > 0 && Math.log(draw()) < 0.5 * x * x + d - d * v + d * Math.log(v)) return (d * v * boosted()) / shape;
    }
  };
}

/** A load of one pipeline. */
export const loadOf = (timesMs: Float64Array, sizes: Load['sizes'] = {}): Load => ({
  timesMs,
  pipelines: new Uint16Array(timesMs.length),
  sizes,
});

/** The requests of several pipelines that share pools, in order of time. */
export function mergedLoad(loads: readonly Load[]): Load {
  const count = loads.reduce((sum, { timesMs }) => sum + timesMs.length, 0);
  const order = loads
    .flatMap(({ timesMs }, of) => Array.from(timesMs, (at, i) => ({ at, of, i })))
    .sort((a, b) => a.at - b.at || a.of - b.of);
  const columns = [...new Set(loads.flatMap(({ sizes }) => Object.keys(sizes)))];
  const sizes = Object.fromEntries(columns.map((column) => [column, new Float64Array(count)]));
  for (const column of columns) {
    for (const [at, { of, i }] of order.entries()) {
      const values = sizes[column];
      // A pipeline whose trace lacks the column: NaN stands for the typical size.
      if (values) values[at] = loads[of]?.sizes[column]?.[i] ?? Number.NaN;
    }
  }
  return {
    timesMs: Float64Array.from(order, ({ at }) => at),
    pipelines: Uint16Array.from(order, ({ of }) => of),
    sizes,
  };
}

/** A trace as a load, `speed` times as fast. */
export const traceLoad = ({ timesMs, sizes }: Trace, speed = 1): Load =>
  loadOf(
    timesMs.map((t) => t / speed),
    sizes,
  );

/**
 * The load so many times in a row: what a short one does not show, such as queues that grow slowly, shows in several of it.
 * `load` has more than one run and lasts longer than 0 ms.
 *
 * @param idleMs between the last run and the first one of the next time; absent: the average between runs, so that the rate is the same
 */
export function repeatedLoad({ timesMs, pipelines, sizes }: Load, times: number, idleMs?: number): Load {
  const count = timesMs.length;
  const spanMs = (timesMs[count - 1] ?? 0) - (timesMs[0] ?? 0);
  const everyMs = spanMs + (idleMs ?? spanMs / Math.max(1, count - 1));
  const all = Array.from({ length: times * count }, (_, i) => i % count);
  return {
    timesMs: Float64Array.from(all, (run, i) => (timesMs[run] as number) + Math.floor(i / count) * everyMs),
    pipelines: Uint16Array.from(all, (run) => pipelines[run] as number),
    sizes: Object.fromEntries(
      Object.entries(sizes).map(([column, values]) => [column, Float64Array.from(all, (run) => values[run] as number)]),
    ),
  };
}

/** Average requests per second. */
export function rateOf({ timesMs }: Load): number {
  const spanMs = (timesMs[timesMs.length - 1] ?? 0) - (timesMs[0] ?? 0);
  return spanMs > 0 ? ((timesMs.length - 1) * 1000) / spanMs : 0;
}
