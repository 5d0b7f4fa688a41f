import { describe, expect, it } from 'vitest';
import {
  arrivals,
  evenSteps,
  type Load,
  loadOf,
  type Observed,
  type Table,
} from '../../../placement/simulator/index.js';
import { fixed, pool, simulate, stage } from './simulated.js';

const at = (...timesMs: readonly number[]): Load => loadOf(Float64Array.from(timesMs));

/** An LLM with 10 ms to the first token, and one more each millisecond. */
const llm = (out: number, steps = evenSteps(1, 1)): Table => ({
  batching: 'continuous',
  overheadMs: 0,
  columnIn: 'in',
  columnOut: 'out',
  typicalIn: 1,
  typicalOut: out,
  prefill: {
    batches: 1,
    sizes: Float64Array.of(1),
    probabilities: Float64Array.of(0, 1),
    knots: Float64Array.of(10, 10),
  },
  steps,
  chunkTokens: Number.POSITIVE_INFINITY,
});

/** A voice that takes a millisecond for a character. */
const voice: Table = {
  batching: 'dynamic',
  overheadMs: 0,
  column: 'characters',
  typical: 30,
  call: {
    batches: 1,
    sizes: Float64Array.of(0, 1000),
    probabilities: Float64Array.of(0, 1),
    knots: Float64Array.of(0, 0, 1000, 1000),
  },
};

const OBSERVED: readonly Observed[] = [
  { stage: 0, metric: 'first' },
  { stage: 0, metric: 'token' },
  { stage: 0, metric: 'whole' },
  { stage: 1, metric: 'first' },
  { stage: 1, metric: 'whole' },
];

function spoken(
  out: number,
  table: Table,
  load: Load,
  more: Parameters<typeof stage>[2] = { streamFrom: 0 },
  tables = llm(out),
) {
  const stages = [stage(0, []), stage(1, [0], more)];
  const pools = [pool(tables, [0], [0], { maxBatch: 2 }), pool(table, [1], [1])];
  const result = simulate(stages, pools, load, { observed: OBSERVED });
  return { ...result, figures: result.observed.map((values) => [...values]), took: [...result.latencyMs] };
}

describe('a stage that reads a stream', () => {
  it('works on each piece when it is there, one after the other, and ends after the last', () => {
    // Tokens 20, 40 and 50 are there at 29, 49 and 59.
    const { took, figures } = spoken(50, fixed(5), at(0));
    expect(took).toEqual([64]);
    expect(figures).toEqual([[10], [1], [59], [34], [35]]);
    // A piece that takes longer than the next needs to be made delays all others.
    expect(spoken(50, fixed(30), at(0)).took).toEqual([29 + 90]);
    // Sentences of other lengths: 25 and 50 tokens are there at 34 and 59.
    expect(spoken(50, fixed(5), at(0), { streamFrom: 0, pieceTokens: 25 }).figures[3]).toEqual([39]);
  });

  it('divides the work of the whole among the pieces', () => {
    // 30 characters are three pieces of 10.
    const { took, figures } = spoken(50, voice, at(0));
    expect(figures[3]).toEqual([39]);
    expect(took).toEqual([69]);
    expect(spoken(50, voice, at(0), {}).took).toEqual([89]);
  });

  it('waits for the whole without the edge, and reads the whole of what has no tokens', () => {
    expect(spoken(50, fixed(5), at(0), {}).figures).toEqual([[10], [1], [59], [64], [5]]);
    expect(spoken(50, fixed(5), at(0), { streamFrom: 0 }, fixed(59)).figures).toEqual([
      [59],
      [Number.NaN],
      [59],
      [64],
      [5],
    ]);
  });

  it('also waits for its other inputs', () => {
    const stages = [stage(0, []), stage(1, []), stage(2, [0, 1], { streamFrom: 0 })];
    const pools = [pool(llm(50), [0], [0], { maxBatch: 2 }), pool(fixed(45), [1], [1]), pool(fixed(5), [2], [2])];
    const observed: readonly Observed[] = [{ stage: 2, metric: 'first' }];
    const result = simulate(stages, pools, at(0), { observed });
    expect([...(result.observed[0] ?? [])]).toEqual([50]);
    expect([...result.latencyMs]).toEqual([64]);
  });

  it('ends every run once, with caches, branches, failures and full memory, and the same with any seed twice', () => {
    const stages = [
      stage(0, [], { cacheHitRate: 0.2, cacheHitMs: 1, failureRate: 0.2, attempts: 2, backoffMs: 3 }),
      stage(1, [0], { streamFrom: 0, pieceTokens: 7, cacheHitRate: 0.2, failureRate: 0.1, attempts: 2, share: 0.8 }),
    ];
    const tight = pool(llm(50, evenSteps(1, 1.5, 2)), [0], [0], { maxBatch: 3 });
    const replicas = tight.replicas.map((replica) => ({ ...replica, mostTokens: 120 }));
    const load = loadOf(arrivals({ count: 2_000, rate: 20, seed: 4 }));
    const run = () =>
      simulate(stages, [{ ...tight, replicas }, pool(fixed(3), [1], [1])], load, { observed: OBSERVED });
    const { completed, failed, preemptions, latencyMs, observed } = run();
    expect(completed + failed).toBe(2_000);
    expect(preemptions).toBeGreaterThan(0);
    expect(failed).toBeGreaterThan(20);
    const [firsts = [], , , spoke = []] = observed.map((values) => [...values]);
    for (const [i, ms] of latencyMs.entries()) {
      // First outputs come before the end, and speech after the token that it needs.
      if (!Number.isNaN(ms)) expect(firsts[i]).toBeLessThanOrEqual(ms);
      if (!Number.isNaN(ms) && !Number.isNaN(spoke[i])) expect(spoke[i]).toBeLessThanOrEqual(ms);
    }
    expect([...run().latencyMs]).toEqual([...latencyMs]);
  });
});

describe('figures of stages', () => {
  it('are the time to the first token, the time per token of those that run together, and the whole with its wait', () => {
    // The second joins at 5, and its prompt is read until 20; the first has waited for it since 10 (no chunks).
    const { observed } = simulate(
      [stage(0, [])],
      [pool(llm(11, evenSteps(1, 2)), [0], [0], { maxBatch: 2 })],
      at(0, 5),
      {
        observed: OBSERVED.slice(0, 3),
      },
    );
    expect(observed.map((values) => [...values])).toEqual([
      [10, 15],
      [3, 2],
      [40, 35],
    ]);
  });

  it('are infinite for a run that fits no memory, and unknown for one that skips the stage', () => {
    const small = pool(llm(50), [0], [0], { maxBatch: 2 });
    const replicas = small.replicas.map((replica) => ({ ...replica, mostTokens: 10 }));
    const observed = OBSERVED.slice(0, 1);
    const never = simulate([stage(0, [])], [{ ...small, replicas }], at(0), { observed });
    expect([...(never.observed[0] ?? [])]).toEqual([Number.POSITIVE_INFINITY]);
    const skipped = simulate([stage(0, [], { share: 0 })], [small], at(0), { observed });
    expect([...(skipped.observed[0] ?? [])]).toEqual([Number.NaN]);
  });

  it('end a simulation as soon as too many are above their limit, and not before', () => {
    const load = loadOf(arrivals({ count: 3_000, rate: 12, seed: 3 }));
    const run = (late: number) =>
      simulate([stage(0, [])], [pool(llm(50), [0], [0], { maxBatch: 2 })], load, {
        observed: OBSERVED.slice(0, 1),
        limits: [{ afterMs: 20, late }],
      });
    const late = [...(run(3_000).observed[0] ?? [])].filter((ms) => ms > 20).length;
    expect(late).toBeGreaterThan(10);
    expect(run(late).gaveUp).toBe(false);
    expect(run(late - 1).gaveUp).toBe(true);
  });
});
