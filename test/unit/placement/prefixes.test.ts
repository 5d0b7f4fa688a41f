import { describe, expect, it } from 'vitest';
import { readPlacement } from '../../../placement/document/index.js';
import { explanation, makePlacement, placementText } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import {
  balance,
  buildProblem,
  Judge,
  LowerBound,
  type PlannerInput,
  type PoolAffinity,
} from '../../../placement/planner/index.js';
import { readProfile, readProfiles } from '../../../placement/profiles/index.js';
import {
  arrivals,
  type Curve,
  cachedOf,
  drawOf,
  type Load,
  leastPromptAt,
  loadOf,
  type PrefixRouting,
  promptAt,
  tableOf,
} from '../../../placement/simulator/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { pool, simulate, stage } from './simulated.js';

const SLOW = { timeout: 120_000 };
const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });
/** An LLM whose prompts take a tenth of a millisecond a token. */
const LLM = {
  format: 1,
  model: 'assistant',
  deviceKind: 'gpu',
  batching: 'continuous',
  memory: { weights: '16GiB', perToken: '128KiB' },
  prefill: [100, 1_000, 8_000].map((tokens) => ({ tokens, ...row(tokens / 10) })),
  decode: [1, 32].flatMap((batch) => [200, 8_000].map((tokens) => ({ batch, tokens, ...row(10 + batch / 10) }))),
};
const CLUSTER = `format: 1
nodes:
  - name: n
    devices: [{ kind: gpu, count: 12, memory: 80GiB, pricePerHour: 2 }]
`;
const table = (routing?: PrefixRouting) => tableOf(readProfile(JSON.stringify(LLM), 'p.json').value, routing);

/** Prompts of 4,000 tokens, 3,600 of which an earlier one had. */
function loadAt(rate: number, more: Readonly<Record<string, number>> = { tokens_cached: 3_600 }): Load {
  const timesMs = arrivals({ count: 600, rate, seed: 1 });
  const stated = { tokens_in: 4_000, tokens_out: 20, ...more };
  return loadOf(
    timesMs,
    Object.fromEntries(Object.entries(stated).map(([name, value]) => [name, timesMs.map(() => value)])),
  );
}

function inputOf(load: Load, affinity?: PoolAffinity['affinity']): PlannerInput {
  const shape = { format: 1, name: 'talk', stages: [{ id: 'answer', model: 'assistant' }] };
  return {
    pipelines: [readPipelineShape(JSON.stringify(shape), 'p.json')],
    inventory: readInventory(CLUSTER),
    profiles: readProfiles([{ file: 'p.json', text: JSON.stringify(LLM) }]),
    load,
    objective: { p99Ms: 4_000 },
    ...(affinity && { affinity: { assistant: { affinity, by: 'option' as const } } }),
  };
}

function plan(input: PlannerInput) {
  let ticks = 0;
  return makePlacement(input, { objective: 'cost', timeLimitMs: 3_000, clock: () => ticks++ });
}

describe('what prefix caches have of a prompt', () => {
  const load = loadAt(1, {
    tokens_cached_aware_1: 1_000,
    tokens_cached_aware_4: 3_000,
    tokens_cached_unaware_1: 1_000,
    tokens_cached_unaware_4: 400,
  });
  const mean = (of: Load, routing: PrefixRouting, replicas: number) => {
    const { share = 0, first, second } = cachedOf(of, 'tokens_cached', routing, replicas) ?? {};
    return share * (first?.[0] ?? 0) + (1 - share) * (second?.[0] ?? 0);
  };

  it('is all that an earlier prompt had with a router that knows it, and falls with the replicas without', () => {
    const stated = loadAt(1);
    expect([1, 2, 9].map((replicas) => mean(stated, 'aware', replicas))).toEqual([3_600, 3_600, 3_600]);
    expect([1, 2, 9].map((replicas) => mean(stated, 'unaware', replicas))).toEqual([3_600, 1_800, 400]);
  });

  it('is measured by the number of caches: at most that many with a router that knows them, else between two', () => {
    expect([1, 3, 4, 9].map((replicas) => mean(load, 'aware', replicas))).toEqual([1_000, 1_000, 3_000, 3_000]);
    const unaware = [1, 2, 4, 8].map((replicas) => mean(load, 'unaware', replicas));
    // At 2 replicas, 1/2 is a third of the way from 1/4 to 1.
    expect(unaware).toEqual([1_000, expect.closeTo(600, 6), 400, 200]);
  });

  it('is nothing without a column', () => {
    expect(cachedOf(loadAt(1, {}), 'tokens_cached', 'aware', 2)).toBeUndefined();
  });
});

describe('a prompt of which a part is cached', () => {
  const { prefill } = table() as { readonly prefill: Curve };

  it('takes the time of what is left, and of its attention to the cached part', () => {
    expect(promptAt(prefill, 4_000, 0, 0.5)).toBeCloseTo(400);
    expect(promptAt(prefill, 4_000, 3_600, 0.5)).toBeCloseTo(40);
    // Attention makes long prompts dearer: the last 400 tokens of 4,000 take more than 400 alone.
    const steep: Curve = { ...prefill, knots: prefill.knots.map((ms) => ms * ms) };
    expect(promptAt(steep, 4_000, 3_600, 0.5)).toBeGreaterThan(promptAt(steep, 400, 0, 0.5) + 1);
  });

  it('takes no less than its least time, also where prompts of the cached length vary more than whole ones', () => {
    const rows = [
      { tokens: 100, ...row(10) },
      { tokens: 3_600, p50Ms: 200, p95Ms: 390, p99Ms: 395 },
      { tokens: 4_000, ...row(400) },
    ];
    const uneven = tableOf(readProfile(JSON.stringify({ ...LLM, prefill: rows }), 'p.json').value) as {
      readonly prefill: Curve;
    };
    const least = leastPromptAt(uneven.prefill, 4_000, 3_600);
    const all = Array.from({ length: 101 }, (_, i) => promptAt(uneven.prefill, 4_000, 3_600, i / 100));
    expect(Math.min(...all)).toBeGreaterThanOrEqual(least - 1e-9);
    expect(all[0]).toBeGreaterThan(least + 100);
    expect(leastPromptAt(uneven.prefill, 4_000, 0)).toBeCloseTo(400);
  });

  it('is simulated so: the first token comes sooner with a router that knows prefixes', () => {
    const served = (routing: PrefixRouting | undefined, devices: readonly number[], load = loadAt(0.5)) => {
      const { latencyMs } = simulate([stage(0, [])], [{ ...pool(table(routing), devices, [0]), maxBatch: 32 }], load);
      return latencyMs.toSorted();
    };
    const median = (all: Float64Array) => all[all.length >> 1] ?? 0;
    const none = median(served(undefined, [0, 1, 2, 3]));
    const aware = served('aware', [0, 1, 2, 3]);
    expect(none - median(aware)).toBeCloseTo(360, 0);
    // By chance one of four replicas has it: a quarter of the prompts is quick.
    const unaware = served('unaware', [0, 1, 2, 3]);
    const quick = unaware.filter((ms) => ms < none - 180).length / unaware.length;
    expect(quick).toBeGreaterThan(0.18);
    expect(quick).toBeLessThan(0.32);
    expect(median(served('unaware', [0]))).toBeCloseTo(median(served('aware', [0])), 6);
    expect(median(served('aware', [0], loadAt(0.5, { tokens_cached: 9_000 })))).toBeGreaterThan(0);
  });
});

describe('a placement of prompts with known prefixes', SLOW, () => {
  const load = loadAt(22);
  const aware = plan(inputOf(load, 'prefix'));
  const unaware = plan(inputOf(load, 'none'));

  it('needs fewer devices with affinity than without, and keeps its objective', () => {
    expect(aware.predicted.p99Ms).toBeLessThanOrEqual(4_000);
    expect(unaware.predicted.p99Ms).toBeLessThanOrEqual(4_000);
    expect(aware.costPerHour).toBeLessThan(unaware.costPerHour);
    expect(plan(inputOf(loadAt(22, {}))).costPerHour).toBeGreaterThanOrEqual(unaware.costPerHour);
  });

  it('says the share, the column and what says the affinity', () => {
    const [pooled] = aware.pools;
    expect(pooled?.prefixCache).toMatchObject({
      affinity: 'prefix',
      by: 'option',
      share: 0.9,
      from: ['tokens_cached'],
    });
    const replicas = unaware.pools[0]?.replicas.length ?? 1;
    expect(unaware.pools[0]?.prefixCache?.share).toBeCloseTo(0.9 / replicas, 3);
    expect(unaware.pools[0]?.prefixCache?.otherwise).toBe(0.9);
    const table = () => '';
    const said =
      /assistant: prefix caches have 90 % of its prompts' tokens, by tokens_cached of the load for affinity "prefix" \(--affinity\)/;
    expect(explanation(aware, undefined, table)).toMatch(said);
    expect(placementText(aware, readInventory(CLUSTER), table)).toMatch(said);
    expect(explanation(unaware, undefined, table)).toMatch(
      /least loaded replica \(--affinity\).*with affinity "prefix" 90 %/,
    );
    // As where a model is served apart.
    const pools = unaware.pools.map((each) => ({ ...each, prefixCache: { ...each.prefixCache, by: 'default' } }));
    expect(explanation({ ...unaware, pools } as unknown as typeof unaware, undefined, table)).toMatch(
      /least loaded replica \(its router is not known\)/,
    );
    expect(plan(inputOf(load)).pools[0]?.prefixCache).toMatchObject({ affinity: 'session', by: 'default' });
    expect(plan(inputOf(loadAt(4, {}))).pools[0]?.prefixCache).toBeUndefined();
  });

  it('has a version that depends on the affinity, and not on the share', () => {
    expect(readPlacement(JSON.stringify(aware)).version).toBe(aware.version);
    const pools = aware.pools.map((each) => ({ ...each, prefixCache: { ...each.prefixCache, share: 0.5 } }));
    expect(readPlacement(JSON.stringify({ ...aware, pools })).version).toBe(aware.version);
    const others = aware.pools.map((each) => ({ ...each, prefixCache: { ...each.prefixCache, affinity: 'none' } }));
    expect(() => readPlacement(JSON.stringify({ ...aware, pools: others }))).toThrow(/hash/);
  });

  it('is not sustained by devices that are fast enough with one cache only', () => {
    const problem = buildProblem(inputOf(load, 'none'));
    const on = (count: number) => ({
      configs: [problem.pools[0]?.configs.length ? problem.pools[0].configs.length - 1 : 0],
      replicas: Array.from({ length: count }, (_, device) => ({ pool: 0, devices: [device] })),
    });
    const known = buildProblem(inputOf(load, 'prefix'));
    expect(balance(problem, on(1)).peak).toBeCloseTo(balance(known, on(1)).peak, 6);
    // A second device helps much less than twice where the caches are not known.
    expect(balance(known, on(2)).peak).toBeCloseTo(balance(known, on(1)).peak / 2, 6);
    expect(balance(problem, on(2)).peak).toBeGreaterThan(1.5 * balance(known, on(2)).peak);
  });
});

describe('the bound of prompts with known prefixes', SLOW, () => {
  it('excludes no placement that meets the objective', () => {
    let held = 0;
    for (const affinity of ['prefix', 'none'] as const) {
      for (const rate of [2, 4, 8]) {
        const timesMs = arrivals({ count: 300, rate, seed: rate });
        const sizes = {
          tokens_in: timesMs.map((_, i) => 500 + Math.round(6_000 * drawOf(5, i, 1))),
          tokens_out: timesMs.map(() => 20),
          tokens_cached: timesMs.map((_, i) => Math.round(400 + 5_000 * drawOf(5, i, 2))),
        };
        const problem = buildProblem(inputOf(loadOf(timesMs, sizes), affinity));
        const judge = new Judge(problem);
        const lower = new LowerBound(problem);
        lower.tighten(() => true, Number.POSITIVE_INFINITY);
        const config = (problem.pools[0]?.configs.length ?? 1) - 1;
        for (let count = 1; count <= 12; count += 1) {
          const replicas = Array.from({ length: count }, (_, device) => ({ pool: 0, devices: [device] }));
          if (!judge.holds({ configs: [config], replicas })) continue;
          held += 1;
          expect(lower.value).toBeLessThanOrEqual(2 * count + 1e-9);
          expect(lower.excludes(replicas)).toBe(false);
        }
      }
    }
    expect(held).toBeGreaterThan(10);
  });
});
