import { describe, expect, it } from 'vitest';
import { arrivals, evenSteps, type Load, loadOf, mergedLoad, type Table } from '../../../placement/simulator/index.js';
import { fixed, pool, simulate, stage } from './simulated.js';

const at = (...timesMs: readonly number[]): Load => loadOf(Float64Array.from(timesMs));
const latencies = ({ latencyMs }: { latencyMs: Float64Array }) =>
  [...latencyMs].map((ms) => Math.round(ms * 1e6) / 1e6);

describe('the simulator', () => {
  it('serves in order of arrival, one at a time', () => {
    expect(latencies(simulate([stage(0, [])], [pool(fixed(10), [0], [0])], at(0, 1, 2, 50)))).toEqual([10, 19, 28, 10]);
  });

  it('forms batches of what waits, up to the largest', () => {
    const one = (maxBatch: number) =>
      latencies(simulate([stage(0, [])], [pool(fixed(10, 12, 14, 16), [0], [0], { maxBatch })], at(0, 1, 2, 3, 4)));
    // The first alone; then the others together, or two and two.
    expect(one(4)).toEqual([10, 25, 24, 23, 22]);
    expect(one(2)).toEqual([10, 21, 20, 31, 30]);
  });

  it('lets a batch wait for more, but for its delay at most, and takes preferred sizes at once', () => {
    const delayed = pool(fixed(10, 12, 14, 16), [0], [0], { maxBatch: 4, maxQueueDelayMs: 5 });
    expect(latencies(simulate([stage(0, [])], [delayed], at(0, 3, 30, 31, 32, 33)))).toEqual([17, 14, 19, 18, 17, 16]);
    const preferred = { ...delayed, preferred: [2] };
    expect(latencies(simulate([stage(0, [])], [preferred], at(0, 3, 30)))).toEqual([15, 12, 15]);
  });

  it('shares a device evenly beyond its concurrency', () => {
    const both = [pool(fixed(10), [0], [0]), pool(fixed(20), [0], [1])];
    const two = [stage(0, []), stage(1, [])];
    // Both at half speed until 20; then 10 of the longer are left, alone.
    expect(latencies(simulate(two, both, at(0)))).toEqual([30]);
    expect(latencies(simulate(two, both, at(0), { concurrency: [2] }))).toEqual([20]);
    expect([...simulate(two, both, at(0), { concurrency: [2] }).utilisation]).toEqual([0.75]);
  });

  it('starts a stage when all that it waits for has ended, and what is independent at once', () => {
    const pools = [fixed(5), fixed(20), fixed(7), fixed(1)].map((table, i) => pool(table, [i], [i]));
    const diamond = [stage(0, []), stage(1, [0]), stage(2, [0]), stage(3, [1, 2])];
    expect(latencies(simulate(diamond, pools, at(0)))).toEqual([26]);
  });

  it('adds what it takes to move data, from the stage that ended to the device of the next', () => {
    const stages = [stage(0, [], { outputBytes: 4 }), stage(1, [0])];
    const transferMs = (from: number, to: number, bytes: number) => (from === to ? 0 : 1 + bytes / 2);
    const on = (device: number) => [pool(fixed(5), [0], [0]), pool(fixed(5), [device], [1])];
    expect(latencies(simulate(stages, on(0), at(0), { transferMs }))).toEqual([10]);
    expect(latencies(simulate(stages, on(1), at(0), { transferMs }))).toEqual([13]);
    // Of two that rest the nearer is taken.
    const either = [pool(fixed(5), [0], [0]), pool(fixed(5), [1, 0], [1])];
    expect(latencies(simulate(stages, either, at(0), { transferMs }))).toEqual([10]);
  });

  it('sends a call to the replica with the fewest outstanding', () => {
    const two = pool(fixed(10), [0, 1], [0]);
    expect(latencies(simulate([stage(0, [])], [two], at(0, 1, 2, 3)))).toEqual([10, 10, 18, 18]);
  });

  it('lets sequences join what runs (continuous batching), and holds them back when memory is full', () => {
    const table: Table = {
      batching: 'continuous',
      overheadMs: 0,
      columnIn: 'in',
      columnOut: 'out',
      typicalIn: 1,
      typicalOut: 11,
      prefill: {
        batches: 1,
        sizes: Float64Array.of(1),
        probabilities: Float64Array.of(0, 1),
        knots: Float64Array.of(4, 4),
      },
      steps: evenSteps(1, 2),
      chunkTokens: Number.POSITIVE_INFINITY,
    };
    const llm = pool(table, [0], [0], { maxBatch: 2 });
    expect(latencies(simulate([stage(0, [])], [llm], at(0)))).toEqual([14]);
    // At 9 the first has 5 tokens to go; it waits for the prompt until 13, then both step at 2: it ends at 23. The second
    // has 10 tokens: 5 at 2, 5 at 1, and ends at 28. The third waits for a place until 23.
    const load = at(0, 9, 10);
    const [first, second, third = 0] = latencies(simulate([stage(0, [])], [llm], load));
    // Its prompt is read from 23 to 27; then 5 tokens of both at 2 each, then 5 alone.
    expect([first, second, third]).toEqual([23, 28, 32]);
    const small = { ...llm, replicas: llm.replicas.map((replica) => ({ ...replica, mostTokens: 12 })) };
    // The second joins at 9, and its prompt is read until 13. At 18 the cache is full: it loses its place, and starts over
    // with 1 + 2.5 tokens when the first has ended, at 20.5.
    const full = simulate([stage(0, [])], [small], at(0, 9));
    expect(latencies(full)).toEqual([20.5, 33]);
    expect(full.preemptions).toBe(1);
    const never = { ...llm, replicas: llm.replicas.map((replica) => ({ ...replica, mostTokens: 11 })) };
    expect(simulate([stage(0, [])], [never], at(0, 9))).toMatchObject({ oversized: 2, completed: 0 });
    const sized = loadOf(Float64Array.of(0), { out: Float64Array.of(3) });
    expect(latencies(simulate([stage(0, [])], [llm], sized))).toEqual([6]);
  });

  it('answers from the cache, skips branches and repeats failures as often as stated', () => {
    const load = loadOf(arrivals({ count: 20_000, rate: 1, seed: 5 }));
    const share = (of: (ms: number) => boolean, figures: Parameters<typeof stage>[2]) => {
      const { latencyMs, failed } = simulate([stage(0, [], figures)], [pool(fixed(10), [0, 1, 2, 3], [0])], load);
      return { share: latencyMs.filter(of).length / latencyMs.length, failed: failed / latencyMs.length };
    };
    expect(share((ms) => ms === 2, { cacheHitRate: 0.3, cacheHitMs: 2 }).share).toBeCloseTo(0.3, 1);
    expect(share((ms) => ms === 0, { share: 0.6 }).share).toBeCloseTo(0.4, 1);
    const flaky = share((ms) => ms > 15, { failureRate: 0.5, attempts: 2, backoffMs: 10 });
    expect(flaky.share).toBeCloseTo(0.25, 1);
    expect(flaky.failed).toBeCloseTo(0.25, 1);
  });

  it('ends a stage of several calls with the last of them', () => {
    const four = stage(0, [], { calls: 4 });
    expect(
      latencies(simulate([four, stage(1, [0])], [pool(fixed(10), [0, 1], [0]), pool(fixed(1), [2], [1])], at(0))),
    ).toEqual([21]);
  });

  it('calls a stage as often as the load says, and skips it where that is never', () => {
    const load = { ...at(0, 100, 200), sizes: { entries: Float64Array.of(2, 0, 3) } };
    const each = stage(0, [], { calls: 3, fanOut: { mean: 5 / 3, some: 2 / 3, column: 'entries' } });
    const { latencyMs, stages } = simulate(
      [each, stage(1, [0])],
      [pool(fixed(10), [0], [0]), pool(fixed(1), [1], [1])],
      load,
    );
    expect([...latencyMs]).toEqual([21, 1, 31]);
    expect(stages[0]?.calls).toBe(5);
  });

  it('rounds a number of calls that is not whole so that it is right on average, alike for all stages of a run', () => {
    const load = loadOf(arrivals({ count: 20_000, rate: 1, seed: 5 }));
    const figures = { calls: 3, fanOut: { mean: 2.4, some: 1 } };
    const result = simulate(
      [stage(0, [], figures), stage(1, [0], figures)],
      [pool(fixed(10), [0], [0]), pool(fixed(10), [1], [1])],
      load,
    );
    expect((result.stages[0]?.calls ?? 0) / 20_000).toBeCloseTo(2.4, 1);
    expect(result.stages[1]?.calls).toBe(result.stages[0]?.calls);
    const alone = [...result.latencyMs].filter((ms) => ms === 40 || ms === 60).length;
    expect(alone).toBeGreaterThan(18_000);
    const seldom = simulate(
      [stage(0, [], { calls: 1, fanOut: { mean: 0.3, some: 0.3 } })],
      [pool(fixed(10), [0], [0])],
      load,
    );
    expect(seldom.latencyMs.filter((ms) => ms === 0).length / 20_000).toBeCloseTo(0.7, 1);
  });

  it('lets pipelines share a pool', () => {
    const stages = [stage(0, []), stage(0, [], { pipeline: 1 }), stage(1, [1], { pipeline: 1 })];
    const pools = [pool(fixed(10), [0], [0, 1]), pool(fixed(5), [1], [2])];
    expect(latencies(simulate(stages, pools, mergedLoad([at(0, 100), at(1)])))).toEqual([10, 24, 10]);
  });

  it('refuses arrivals beyond those that may be in flight', () => {
    const { latencyMs, refused, completed } = simulate([stage(0, [])], [pool(fixed(10), [0], [0])], at(0, 1, 2, 25), {
      admit: 2,
    });
    expect([...latencyMs]).toEqual([10, 19, Number.NaN, 10]);
    expect([refused, completed]).toEqual([1, 3]);
  });

  it('gives up as soon as too many are late, and not before', () => {
    const load = loadOf(arrivals({ count: 5_000, rate: 100, seed: 3 }));
    const run = (late: number) =>
      simulate([stage(0, [])], [pool(fixed(9.5), [0], [0])], load, { giveUp: { afterMs: 50, late } });
    const late = run(5_000).latencyMs.filter((ms) => ms > 50).length;
    expect(late).toBeGreaterThan(10);
    expect(run(late).gaveUp).toBe(false);
    expect(run(late - 1).gaveUp).toBe(true);
  });
});
