import { describe, expect, it } from 'vitest';
import { makeLoad } from '../../../placement/explain/index.js';
import { buildProblem } from '../../../placement/planner/index.js';
import { rateOf } from '../../../placement/simulator/index.js';
import { plannerInput } from './placement-files.js';

const HOUR_MS = 3_600_000;
/** So many runs, from a time on at this rate per second; their sizes are their numbers. */
function traceOf(count: number, rate: number, fromMs = 0) {
  const timesMs = Float64Array.from({ length: count }, (_, i) => fromMs + (i * 1_000) / rate);
  return { timesMs, sizes: { n: Float64Array.from({ length: count }, (_, i) => i) } };
}
const loadOf = (...traces: Parameters<typeof makeLoad>[0]) => makeLoad(traces, 1_000, 1);
const countOf = ({ pipelines }: ReturnType<typeof makeLoad>, p: number) =>
  pipelines.filter((each) => each === p).length;

describe('the load of traces', () => {
  it('has the rates of all of them, also where one covers a longer time', () => {
    // An hour at 5 a second, and a day at 0.2.
    const load = loadOf({ trace: traceOf(18_000, 5) }, { trace: traceOf(17_280, 0.2) });
    expect([countOf(load, 0), countOf(load, 1)]).toEqual([18_000, 720]);
    expect(rateOf(load)).toBeCloseTo(5.2, 1);
    const said = 'trace 2: its busiest 3600 s are planned for (runs: 720), as another trace covers no more';
    expect(load.assumptions).toEqual([said]);
    const input = plannerInput();
    const problem = buildProblem({ ...input, load: { ...input.load, assumptions: [said] } });
    expect(problem.assumptions).toContain(said);
  });

  it('is not that of the seconds in which a few runs of one of them came', () => {
    // A day at 0.2 a second, and 25 runs within a minute of it.
    const day = { trace: traceOf(17_280, 0.2) };
    const burst = { trace: traceOf(25, 25 / 60, 40_000_000) };
    const load = loadOf(day, burst);
    expect([countOf(load, 0), countOf(load, 1)]).toEqual([17_280, 25]);
    expect(rateOf(load)).toBeCloseTo(0.2, 2);
    expect(load.assumptions).toEqual(['trace 2 covers 58 s of 86395 s: planned at 0.00029 runs/s']);
    // An hour beside them has enough runs to judge a placement by.
    const all = loadOf(day, burst, { trace: traceOf(18_000, 5) });
    expect([0, 1, 2].map((p) => countOf(all, p))).toEqual([720, 25, 18_000]);
    expect(all.assumptions).toEqual([
      expect.stringMatching(/^trace 1: its busiest 3600 s /),
      'trace 2 covers 58 s of 3600 s: planned at 0.0069 runs/s',
    ]);
  });

  it('keeps the rate of the shorter one where both have few runs, if half of them remain', () => {
    const load = loadOf({ trace: traceOf(3_600, 1) }, { trace: traceOf(864, 0.01) });
    expect([countOf(load, 0), countOf(load, 1)]).toEqual([3_600, 36]);
    expect(rateOf(load)).toBeCloseTo(1.01, 2);
    expect(load.assumptions).toEqual([
      'trace 2: its busiest 3599 s are planned for (runs: 36), as another trace covers no more',
    ]);
  });

  it('has of the longer one the busiest stretch', () => {
    const quiet = traceOf(100, 0.01);
    const busy = traceOf(5_000, 20, 20_000_000);
    const trace = {
      timesMs: Float64Array.from([...quiet.timesMs, ...busy.timesMs]),
      sizes: { n: Float64Array.from({ length: 5_100 }, (_, i) => i) },
    };
    const load = loadOf({ trace: traceOf(2_001, 20) }, { trace });
    const sizes = [...(load.sizes.n ?? [])].filter((_, i) => load.pipelines[i] === 1);
    // A hundred seconds, its end included.
    expect(sizes).toEqual(Array.from({ length: 2_001 }, (_, i) => 100 + i));
    expect(load.timesMs[0]).toBe(0);
  });

  it('has at most 20,000 runs of a trace, and the others for their time', () => {
    const load = loadOf({ trace: traceOf(40_000, 10) }, { trace: traceOf(4_000, 1) });
    expect([countOf(load, 0), countOf(load, 1)]).toEqual([20_000, 2_000]);
    expect(rateOf(load)).toBeCloseTo(11, 1);
  });

  it('has all of traces that cover about the same time, or are said to', () => {
    const about = loadOf({ trace: traceOf(100, 1) }, { trace: traceOf(115, 1) });
    expect([countOf(about, 0), countOf(about, 1)]).toEqual([100, 115]);
    const hour = loadOf({ trace: traceOf(2, 1), coversMs: HOUR_MS }, { trace: traceOf(3_600, 1), coversMs: HOUR_MS });
    expect([countOf(hour, 0), countOf(hour, 1)]).toEqual([2, 3_600]);
    // Of the same time as the others, for all that so few runs tell.
    const few = loadOf({ trace: traceOf(19, 1) }, { trace: traceOf(50, 1) }, { trace: traceOf(1, 1) });
    expect([0, 1, 2].map((p) => countOf(few, p))).toEqual([19, 50, 1]);
  });
});
