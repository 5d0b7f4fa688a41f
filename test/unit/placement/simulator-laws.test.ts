import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrivals, loadOf, percentile, sortedNumbers } from '../../../placement/simulator/index.js';
import { exponential, fixed, pool, simulate, stage } from './simulated.js';

const mean = (values: Float64Array): number => values.reduce((sum, value) => sum + value, 0) / values.length;
const poisson = (count: number, rate: number, seed = 7) => loadOf(arrivals({ count, rate, seed }));

describe('closed forms', () => {
  it.each([0.3, 0.5, 0.7, 0.8])('M/M/1 at a load of %f: mean and percentiles of the time in the system', (load) => {
    const run = simulate([stage(0, [])], [pool(exponential(10), [0], [0])], poisson(150_000, load * 100));
    const expected = 10 / (1 - load);
    expect(mean(run.latencyMs) / expected).toBeCloseTo(1, 1);
    expect(percentile(sortedNumbers(run.latencyMs), 0.99) / (expected * Math.log(100))).toBeCloseTo(1, 1);
    expect(run.utilisation[0]).toBeCloseTo(load, 2);
  });

  it.each([0.3, 0.5, 0.8])('M/D/1 at a load of %f: the mean wait is half that of M/M/1', (load) => {
    const run = simulate([stage(0, [])], [pool(fixed(10), [0], [0])], poisson(150_000, load * 100));
    const expected = (10 * load) / (2 * (1 - load));
    expect((run.stages[0]?.meanWaitMs ?? 0) / expected).toBeCloseTo(1, 1);
  });

  it('M/D/1 shared evenly by two pools on one device: processor sharing, whose mean does not depend on the service', () => {
    // Each call is a batch of its own where replicas abound: the device serves all at once.
    const many = new Array<number>(60).fill(0);
    const run = simulate([stage(0, [])], [pool(fixed(10), many, [0])], poisson(60_000, 60));
    expect(mean(run.latencyMs) / (10 / (1 - 0.6))).toBeCloseTo(1, 1);
  });
});

/** Small systems of any shape: a chain or a diamond, batches, delays, replicas on shared devices, retries, caches. */
const anySystem = fc.record({
  seed: fc.integer({ min: 1, max: 1e6 }),
  rate: fc.integer({ min: 5, max: 150 }),
  cv: fc.constantFrom(0, 0.5, 1, 2),
  stages: fc.array(
    fc.record({
      ms: fc.integer({ min: 1, max: 20 }),
      maxBatch: fc.integer({ min: 1, max: 4 }),
      delay: fc.constantFrom(0, 5),
      devices: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }),
      join: fc.boolean(),
      calls: fc.constantFrom(1, 1, 3),
      cacheHitRate: fc.constantFrom(0, 0.3),
      failureRate: fc.constantFrom(0, 0.3),
    }),
    { minLength: 1, maxLength: 5 },
  ),
});

type AnySystem = typeof anySystem extends fc.Arbitrary<infer T> ? T : never;

const run = ({ seed, rate, cv, stages }: AnySystem, more: Parameters<typeof simulate>[3] = {}) =>
  simulate(
    stages.map(({ join, calls, cacheHitRate, failureRate }, i) => {
      const after = i === 0 ? [] : join && i > 1 ? [i - 2, i - 1] : [i - 1];
      return stage(i, after, { calls, cacheHitRate, failureRate, attempts: 2, backoffMs: 3 });
    }),
    stages.map(({ ms, maxBatch, delay, devices }, i) =>
      pool(fixed(...[1, 1.5, 2, 2.5].map((k) => k * ms)), devices, [i], { maxBatch, maxQueueDelayMs: delay }),
    ),
    loadOf(arrivals({ count: 400, rate, seed, cv })),
    { seed, ...more },
  );

describe('whatever the system', () => {
  it('every request ends once: completed, failed or refused', () => {
    fc.assert(
      fc.property(anySystem, fc.option(fc.integer({ min: 1, max: 5 }), { nil: undefined }), (system, admit) => {
        const { completed, failed, refused, latencyMs } = run(system, admit === undefined ? {} : { admit });
        expect(completed + failed + refused).toBe(400);
        expect(latencyMs.filter((ms) => !Number.isNaN(ms)).length).toBe(completed);
        if (admit === undefined) expect(refused).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('the same seed gives the same to the last bit', () => {
    fc.assert(
      fc.property(anySystem, (system) => {
        const [first, second] = [run(system), run(system)];
        expect([...first.latencyMs]).toEqual([...second.latencyMs]);
        expect([...first.utilisation]).toEqual([...second.utilisation]);
      }),
      { numRuns: 20 },
    );
  });

  it('nobody is faster than the work alone, no device is busier than always, and work is conserved', () => {
    fc.assert(
      fc.property(anySystem, (system) => {
        const plain = {
          ...system,
          stages: system.stages.map((s) => ({ ...s, cacheHitRate: 0 as const, failureRate: 0 as const, maxBatch: 1 })),
        };
        const { latencyMs, utilisation, spanMs, stages } = run(plain);
        const longest = Math.max(...plain.stages.map(({ ms }) => ms));
        expect(Math.min(...latencyMs)).toBeGreaterThanOrEqual(longest - 1e-6);
        for (const share of utilisation) expect(share).toBeLessThanOrEqual(1 + 1e-9);
        const work = plain.stages.reduce((sum, { ms, calls }) => sum + 400 * ms * calls, 0);
        expect(utilisation.reduce((sum, share) => sum + share, 0) * spanMs).toBeCloseTo(work, 3);
        for (const [i, each] of stages.entries()) expect(each.calls).toBe(400 * (plain.stages[i]?.calls ?? 0));
      }),
      { numRuns: 40 },
    );
  });

  it('Little’s law: what is in the system on average is the rate times the time in it', () => {
    fc.assert(
      fc.property(anySystem, (system) => {
        const plain = { ...system, stages: system.stages.map((s) => ({ ...s, failureRate: 0 as const })) };
        const { latencyMs, spanMs } = run(plain);
        const { timesMs } = loadOf(arrivals({ count: 400, rate: plain.rate, seed: plain.seed, cv: plain.cv }));
        // Counted by events, independently of the simulator's own sums.
        const changes = [...timesMs].flatMap((t, i) => [
          [t, 1],
          [t + (latencyMs[i] ?? 0), -1],
        ]);
        changes.sort(([a = 0], [b = 0]) => a - b);
        let inside = 0;
        let area = 0;
        for (const [i, [t = 0, change = 0]] of changes.entries()) {
          inside += change;
          area += inside * ((changes[i + 1]?.[0] ?? t) - t);
        }
        const arrivalRate = 400 / spanMs;
        expect(area / spanMs / (arrivalRate * mean(latencyMs))).toBeCloseTo(1, 6);
      }),
      { numRuns: 30 },
    );
  });

  it('one server without batches is first in, first out', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 1e6 }), fc.integer({ min: 20, max: 150 }), (seed, rate) => {
        const load = loadOf(arrivals({ count: 300, rate, seed, cv: 2 }));
        const { latencyMs } = simulate([stage(0, [])], [pool(exponential(8), [0], [0])], load, { seed });
        for (let i = 1; i < 300; i += 1) {
          const ends = (n: number) => (load.timesMs[n] ?? 0) + (latencyMs[n] ?? 0);
          expect(ends(i)).toBeGreaterThan(ends(i - 1));
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('arrivals', () => {
  it.each([0.5, 1, 2, 4])('have the stated rate and coefficient of variation %f', (cv) => {
    const times = arrivals({ count: 200_000, rate: 50, seed: 11, cv });
    const gaps = times.slice(1).map((t, i) => t - (times[i] ?? 0));
    const average = mean(gaps);
    const deviation = Math.sqrt(mean(gaps.map((gap) => (gap - average) ** 2)));
    expect(average / 20).toBeCloseTo(1, 1);
    expect(deviation / average / cv).toBeCloseTo(1, 1);
  });

  it('follow a day: as many as even ones, most at the crest', () => {
    const times = arrivals({ count: 100_000, rate: 100, seed: 2, diurnal: { periodMs: 100_000, amplitude: 0.8 } });
    const inQuarter = [0, 0, 0, 0];
    for (const t of times)
      inQuarter[Math.floor(((t % 100_000) / 100_000) * 4)] =
        (inQuarter[Math.floor(((t % 100_000) / 100_000) * 4)] ?? 0) + 1;
    // The sine is positive in the first half; over a quarter it averages 2/π.
    const [first = 0, , third = 0] = inQuarter.map((n) => n / 25_000);
    expect(first).toBeCloseTo(1 + (0.8 * 2) / Math.PI, 1);
    expect(third).toBeCloseTo(1 - (0.8 * 2) / Math.PI, 1);
  });
});
