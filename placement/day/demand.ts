import { invalidFields } from '../../pipelines/invalid-fields.js';
import { type Arriving, RATES } from '../explain/index.js';
import type { Trace } from '../trace/index.js';
import { MOST_HOURS } from './read-rates.js';

/** The demand of one hour. */
export interface Hour {
  /** Runs per second of each pipeline, by index. */
  readonly rates: readonly number[];
  /** The arrivals that it is planned for. */
  readonly arriving: readonly Arriving[];
  /** Equal for hours with the same arrivals. */
  readonly key: string;
}

const HOUR_MS = 3_600_000;
/** An hour without runs of a pipeline is planned for this share of its busiest hour, so that a run that comes is served. */
const LEAST_SHARE = 0.01;

/** Runs per second of all pipelines. */
export const totalRate = ({ rates }: Hour): number => rates.reduce((sum, rate) => sum + rate, 0);

/** Hours from a table of rates, by hour and pipeline; `cv`: as of a rate. */
export function hoursOfRates(table: readonly (readonly number[])[], cv: number): readonly Hour[] {
  const peaks = (table[0] ?? []).map((_, p) => Math.max(...table.map((rates) => rates[p] ?? 0)));
  return table.map((rates) => {
    const planned = rates.map((rate, p) => Math.max(rate, LEAST_SHARE * (peaks[p] ?? 0), RATES.least));
    return { rates, arriving: planned.map((rate) => ({ rate, cv })), key: JSON.stringify(planned) };
  });
}

/**
 * Hours from the traces of the pipelines, counted from the first run of each; the arrivals are those of the trace. Throws
 * `INVALID_TRACE` for one of an hour or less, or of more than a week.
 */
export function hoursOfTraces(traces: readonly Trace[]): readonly Hour[] {
  const count = Math.max(...traces.map(({ timesMs }) => Math.floor((timesMs.at(-1) ?? 0) / HOUR_MS) + 1));
  if (count < 2 || count > MOST_HOURS) {
    const message =
      count < 2
        ? 'the trace is not longer than an hour, so that there is nothing to change: use "millrace place" without "day"'
        : `the trace has ${count} hours: give at most ${MOST_HOURS}`;
    throw invalidFields('INVALID_TRACE', [{ field: '--trace', message }]);
  }
  const pieces = traces.map((trace) => hoursOfTrace(trace, count));
  return Array.from({ length: count }, (_, h) => {
    const own = pieces.map((each) => each[h] ?? EMPTY);
    const planned = own.map((piece, p) => (piece.timesMs.length > 0 ? piece : thinned(busiestOf(pieces[p] ?? []))));
    return {
      rates: own.map(({ timesMs }) => (timesMs.length * 1000) / HOUR_MS),
      arriving: planned.map((trace) => ({ trace, coversMs: HOUR_MS })),
      key: `hour ${h}`,
    };
  });
}

const EMPTY: Trace = { timesMs: new Float64Array(0), sizes: {} };

/** The parts of a trace, each with times from the start of its hour. */
function hoursOfTrace({ timesMs, sizes }: Trace, count: number): readonly Trace[] {
  const starts = Array.from({ length: count + 1 }, (_, h) => firstAt(timesMs, h * HOUR_MS));
  return Array.from({ length: count }, (_, h) => {
    const [from = 0, to = 0] = [starts[h], starts[h + 1]];
    return {
      timesMs: timesMs.slice(from, to).map((at) => at - h * HOUR_MS),
      sizes: Object.fromEntries(Object.entries(sizes).map(([name, all]) => [name, all.slice(from, to)])),
    };
  });
}

/** How many of ascending times are before `ms`. */
function firstAt(timesMs: Float64Array, ms: number): number {
  let [low, high] = [0, timesMs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((timesMs[middle] ?? 0) < ms) low = middle + 1;
    else high = middle;
  }
  return low;
}

const busiestOf = (pieces: readonly Trace[]): Trace =>
  pieces.reduce((most, piece) => (piece.timesMs.length > most.timesMs.length ? piece : most), EMPTY);

/** Every hundredth run. */
function thinned({ timesMs, sizes }: Trace): Trace {
  const every = (values: Float64Array) => values.filter((_, i) => i % Math.round(1 / LEAST_SHARE) === 0);
  return {
    timesMs: every(timesMs),
    sizes: Object.fromEntries(Object.entries(sizes).map(([name, values]) => [name, every(values)])),
  };
}

/** The demand of a day in which each pipeline has its busiest hour at the same time: an hour of the day if one is that of all. */
export function peakOf(hours: readonly Hour[]): Hour {
  const [first] = hours;
  const busiest = (first?.rates ?? []).map((_, p) =>
    hours.reduce((most, hour) => ((hour.rates[p] ?? 0) > (most.rates[p] ?? 0) ? hour : most)),
  );
  const rates = busiest.map((hour, p) => hour.rates[p] ?? 0);
  const together = hours.find((hour) => hour.rates.every((rate, p) => rate === rates[p]));
  if (together) return together;
  const arriving = busiest.flatMap((hour, p) => hour.arriving[p] ?? []);
  return { rates, arriving, key: 'peak' };
}

/** Of hours with the same demand the first. */
export function distinctHours(hours: readonly Hour[]): readonly Hour[] {
  const known = new Set<string>();
  return hours.filter(({ key }) => !known.has(key) && known.add(key));
}
