import { describe, expect, it } from 'vitest';
import { makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { buildProblem, Judge, LowerBound, type PlannerInput } from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { arrivals, drawOf, loadOf } from '../../../placement/simulator/index.js';
import { readPipelineShape, withAssumptions, withMeanCalls } from '../../../placement/workload/index.js';
import { profileFile } from './placement-files.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };
const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });
const LLM = {
  format: 1,
  model: 'llm',
  deviceKind: 'l4',
  batching: 'continuous',
  memory: { weights: '8GiB', perToken: '128KiB' },
  prefill: [{ tokens: 100, ...row(5) }],
  decode: [
    { batch: 1, ...row(20) },
    { batch: 16, ...row(24) },
  ],
};
const PROFILES = [
  profileFile('split', 'l4', 5),
  profileFile('rank', 'l4', 60),
  { file: 'llm.json', text: JSON.stringify(LLM) },
];
const CLUSTER = `format: 1
nodes:
  - name: n
    devices: [{ kind: l4, count: 10, memory: 24GiB, pricePerHour: 1 }]
`;
const shapeOf = (calls: unknown, model = 'rank') =>
  readPipelineShape(
    JSON.stringify({
      format: 1,
      name: 'search',
      stages: [
        { id: 'split', model: 'split' },
        { id: 'rank', model, after: ['split'], ...(calls !== undefined && { calls }) },
      ],
    }),
    'p.json',
  );

/** Entries of each run: mostly one, now and then twelve; 2.1 on average. */
const entriesAt = (run: number) => (drawOf(2, run, 1) < 0.9 ? 1 : 12);

function inputOf(calls: unknown, more: Partial<PlannerInput> = {}): PlannerInput {
  const timesMs = arrivals({ count: 1_000, rate: 12, seed: 3 });
  return {
    pipelines: [shapeOf(calls)],
    inventory: readInventory(CLUSTER),
    profiles: readProfiles(PROFILES),
    load: loadOf(timesMs, { entries: timesMs.map((_, run) => entriesAt(run)) }),
    objective: { p99Ms: 400 },
    ...more,
  };
}

function plan(input: PlannerInput) {
  let ticks = 0;
  return makePlacement(input, { objective: 'cost', timeLimitMs: 2_000, clock: () => ticks++ });
}

describe('calls of a stage', () => {
  it('are a number, whole or on average, or a column of the trace, in the short form and with --assume', () => {
    expect(shapeOf(undefined).stages[1]).toMatchObject({ calls: 1 });
    expect(shapeOf(2.4).stages[1]).toMatchObject({ calls: 2.4 });
    expect(shapeOf('entries').stages[1]).toMatchObject({ calls: 1, callsFrom: 'entries' });
    expect(refusal(() => shapeOf(0)).fields[0]).toMatch(/calls: above 0/);
    expect(refusal(() => shapeOf('Entries 1')).fields[0]).toMatch(/calls: a number, or a column of the trace/);
    expect(refusal(() => shapeOf(true)).fields[0]).toMatch(/calls: a number above 0 and at most 10000, or a column/);
    const [stated] = withAssumptions([shapeOf(2)], ['rank.calls=entries', 'rank.share=0.5']);
    expect(stated?.stages[1]).toMatchObject({ callsFrom: 'entries', share: 0.5 });
    const [again] = withAssumptions([shapeOf('entries')], ['rank.calls=3.5']);
    expect(again?.stages[1]).toMatchObject({ calls: 3.5 });
    expect(again?.stages[1]?.callsFrom).toBeUndefined();
  });

  it('say what they assume', () => {
    expect(buildProblem(inputOf(2.4)).assumptions).toContainEqual(
      expect.stringMatching(/^search\/rank: 2\.4 calls of a run are 2 or 3/),
    );
    expect(buildProblem(inputOf('entries')).assumptions).toContainEqual(
      expect.stringMatching(
        /^search\/rank: its calls are those of the column entries: 2(\.\d+)? in a run on average, at most 12/,
      ),
    );
    expect(buildProblem(inputOf(3)).assumptions.filter((each) => each.startsWith('search/rank'))).toEqual([]);
  });

  it('are refused by a column that the load lacks, or with too many', () => {
    expect(refusal(() => buildProblem(inputOf('items')))).toMatchObject({
      code: 'INVALID_INPUT',
      fields: [expect.stringMatching(/^--trace: search\/rank: .*column items, which the load lacks.*--size items=/)],
    });
    const timesMs = arrivals({ count: 10, rate: 1, seed: 1 });
    const load = loadOf(timesMs, { entries: timesMs.map(() => 20_000) });
    expect(refusal(() => buildProblem(inputOf('entries', { load }))).fields[0]).toMatch(/20000 calls of a run/);
  });
});

describe('a placement of a stage with several calls', SLOW, () => {
  it('costs as much by a mean as what is between the whole numbers, and more by a distribution with large runs', () => {
    const [two, mean, three] = [2, 2.4, 3].map((calls) => plan(inputOf(calls)));
    expect(mean?.costPerHour).toBeGreaterThanOrEqual(two?.costPerHour ?? 0);
    expect(mean?.costPerHour).toBeLessThanOrEqual(three?.costPerHour ?? 0);
    const mostly = plan(inputOf('entries'));
    const average = plan(inputOf(2.1));
    expect(mostly.costPerHour).toBeGreaterThan(average.costPerHour);
    for (const each of [mean, mostly, average]) expect(each?.predicted.p99Ms).toBeLessThanOrEqual(400);
    expect(mean?.calls).toEqual({ 'search/rank': 2.4 });
    expect(two?.calls).toBeUndefined();
    // What was measured of it has no such column: those that the placement has kept stay, and else their average.
    const entries = mostly.sizes?.search?.entries ?? [];
    expect(entries).toHaveLength(256);
    expect(new Set(entries)).toEqual(new Set([1, 12]));
    const [kept] = withMeanCalls([shapeOf('entries')], mostly.calls ?? {}, mostly.sizes);
    expect(kept?.stages[1]?.callsFrom).toBe('entries');
    const [again] = withMeanCalls([shapeOf('entries')], mostly.calls ?? {});
    expect(again?.stages[1]?.callsFrom).toBeUndefined();
    expect(again?.stages[1]?.calls).toBeCloseTo(2.1, 0);
  });
});

describe('the bound of a stage with several calls', SLOW, () => {
  it.each([
    ['of a batched model, on average', 2.4, 'rank'],
    ['of a batched model, by a column', 'entries', 'rank'],
    ['of an LLM, whose sequences of one run share their steps', 8, 'llm'],
    ['of an LLM, by a column', 'entries', 'llm'],
  ])('excludes no placement that meets the objective: %s', (_, calls, model) => {
    let held = 0;
    for (const rate of [1, 4, 10]) {
      const timesMs = arrivals({ count: 200, rate, seed: 3 });
      const sizes = {
        entries: timesMs.map((__, run) => entriesAt(run)),
        tokens_in: timesMs.map(() => 100),
        tokens_out: timesMs.map(() => 30),
      };
      const problem = buildProblem(
        inputOf(calls, {
          pipelines: [shapeOf(calls, model)],
          load: loadOf(timesMs, sizes),
          objective: { p99Ms: 1_200 },
        }),
      );
      const judge = new Judge(problem);
      const lower = new LowerBound(problem);
      lower.tighten(() => true, Number.POSITIVE_INFINITY);
      const configs = problem.pools.map((pool) => pool.configs.length - 1);
      for (let count = 1; count <= 9; count += 1) {
        const replicas = [
          { pool: 0, devices: [9] },
          ...Array.from({ length: count }, (__, device) => ({ pool: 1, devices: [device] })),
        ];
        if (!judge.holds({ configs, replicas })) continue;
        held += 1;
        expect(lower.value).toBeLessThanOrEqual(count + 1 + 1e-9);
        expect(lower.excludes(replicas)).toBe(false);
      }
      // Both on one device.
      const replicas = [0, 1].map((pool) => ({ pool, devices: [0] }));
      if (judge.holds({ configs, replicas })) expect(lower.value).toBeLessThanOrEqual(1 + 1e-9);
    }
    expect(held).toBeGreaterThan(5);
  });
});
