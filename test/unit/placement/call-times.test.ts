import { describe, expect, it } from 'vitest';
import { makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { largestOfBatches } from '../../../placement/planner/full-batches.js';
import { buildProblem, type PlannerInput } from '../../../placement/planner/index.js';
import { shareOfSteps } from '../../../placement/planner/sequence-times.js';
import { floorAt, sizeFloor } from '../../../placement/planner/size-floor.js';
import { ascending, meanOver, partsOf, sizesOfCalls } from '../../../placement/planner/sizes-of-calls.js';
import { leastStepsMs } from '../../../placement/planner/step-work.js';
import { readProfile, readProfiles } from '../../../placement/profiles/index.js';
import {
  arrivals,
  type DynamicTable,
  drawOf,
  type Load,
  loadOf,
  meanAt,
  mergedLoad,
  percentile,
  sortedNumbers,
  stepAt,
  tableOf,
} from '../../../placement/simulator/index.js';
import { readPipelineShape, stageObjectives } from '../../../placement/workload/index.js';
import { judgedBy, type OracleProfile } from '../../oracle/placement-oracle.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };
const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });
const llm = (model: string, more: object = {}) => ({
  format: 1,
  model,
  deviceKind: 'gpu',
  batching: 'continuous',
  memory: { weights: '16GiB', perToken: '128KiB' },
  prefill: [
    { tokens: 128, ...row(40) },
    { tokens: 2_048, ...row(320) },
  ],
  decode: [
    { batch: 1, ...row(20) },
    { batch: 64, ...row(26) },
  ],
  ...more,
});

interface Step {
  readonly batch: number;
  readonly tokens: number;
  readonly p50Ms: number;
}

/** The rows, each no less than 0.85 of those with a shorter context and a smaller batch: what a profile may have. */
function rising(rows: readonly Step[]): readonly Step[] {
  return rows.map(({ batch, tokens, p50Ms }) => {
    const before = rows.filter((other) => other.batch <= batch && other.tokens <= tokens);
    return { batch, tokens, ...row(Math.max(p50Ms, ...before.map((other) => other.p50Ms * 0.85))) };
  });
}

interface Of {
  /** By pipeline, the model of its only stage. */
  readonly models: readonly string[];
  readonly profiles: readonly object[];
  readonly load: Load;
  readonly memory?: string;
  readonly p99Ms?: number;
}

function inputOf({ models, profiles, load, memory = '80GiB', p99Ms = 1e6 }: Of): PlannerInput {
  const shapes = models.map((model) => ({ format: 1, name: model, stages: [{ id: 'answer', model }] }));
  return {
    pipelines: shapes.map((shape) => readPipelineShape(JSON.stringify(shape), 'p.json')),
    inventory: readInventory(
      `format: 1\nnodes:\n  - { name: n, devices: [{ kind: gpu, count: 12, memory: ${memory}, pricePerHour: 2 }] }\n`,
    ),
    profiles: readProfiles(profiles.map((each, i) => ({ file: `${i}.json`, text: JSON.stringify(each) }))),
    load,
    objective: { p99Ms },
  };
}

const timesMs = arrivals({ count: 1_000, rate: 10, seed: 1 });
const ofSizes = (sizes: Readonly<Record<string, number>>): Load =>
  loadOf(timesMs, Object.fromEntries(Object.entries(sizes).map(([name, size]) => [name, timesMs.map(() => size)])));
const CHAT = ofSizes({ tokens_in: 200, tokens_out: 50 });
const DIGEST = ofSizes({ tokens_in: 8_000, tokens_out: 500 });

describe('a plan of several pipelines', () => {
  const alone = (model: string, load: Load) => inputOf({ models: [model], profiles: [llm(model)], load });
  const both = inputOf({
    models: ['chat', 'digest'],
    profiles: [llm('chat'), llm('digest')],
    load: mergedLoad([CHAT, DIGEST]),
  });
  const busyOf = (input: PlannerInput, pool = 0) => buildProblem(input).pools[pool]?.configs.at(-1)?.uses[0]?.erlangs;

  it('counts for each stage the sizes of its own pipeline’s runs', () => {
    for (const [pool, load] of [CHAT, DIGEST].entries()) {
      const own = busyOf(alone(pool === 0 ? 'chat' : 'digest', load)) ?? 0;
      expect((busyOf(both, pool) ?? 0) / own).toBeCloseTo(1, 2);
    }
    // 50 ms for the prompt, and 49 steps of 26 / 64 ms.
    expect(busyOf(alone('chat', CHAT))).toBeCloseTo((10 * (50.5 + (49 * 26) / 64)) / 1_000, 1);
  });

  it('takes no objective for unreachable since another pipeline’s runs are long', () => {
    const stages = stageObjectives(both.pipelines, ['chat:answer.latency.p95=3s']);
    expect(() => buildProblem({ ...both, objective: { stages } })).not.toThrow();
    const short = stageObjectives(both.pipelines, ['digest:answer.latency.p95=3s']);
    expect(refusal(() => buildProblem({ ...both, objective: { stages: short } })).code).toBe('SLO_UNREACHABLE');
  });

  it('needs no sizes of the runs that do not call the model', () => {
    const ear = { format: 1, model: 'ear', deviceKind: 'gpu', batching: 'dynamic', latency: [{ batch: 1, ...row(5) }] };
    const of = (load: Load) => inputOf({ models: ['chat', 'ear'], profiles: [llm('chat'), ear], load });
    expect(() => buildProblem(of(mergedLoad([CHAT, ofSizes({ audio_s: 3 })])))).not.toThrow();
    expect(refusal(() => buildProblem(of(mergedLoad([ofSizes({ audio_s: 3 }), CHAT])))).code).toBe('INVALID_PROFILE');
  });
});

describe('an LLM whose cache limits how many sequences run', SLOW, () => {
  const halves = (long: readonly [number, number], short: readonly [number, number], rate: number) => {
    const at = arrivals({ count: 2_000, rate, seed: 1 });
    const column = (i: 0 | 1) => at.map((_, run) => (run % 2 === 0 ? long[i] : short[i]));
    return loadOf(at, { tokens_in: column(0), tokens_out: column(1) });
  };

  it.each([
    ['long answers to short prompts', [100, 1_000], [100, 1_000], 2, 60_000],
    ['long prompts with short answers, and short prompts with long answers', [8_000, 20], [100, 1_500], 0.7, 200_000],
  ] as const)('is planned and bounded by what its sequences have there in their steps: %s', (_, a, b, rate, p99Ms) => {
    // Of 28.5 GiB 5.65 are left for the cache.
    const cacheTokens = 46_284;
    const profiles = [llm('m', { memory: { weights: '16GiB', perToken: '128KiB', reserved: '4GiB' } })];
    const input = inputOf({ models: ['m'], profiles, load: halves(a, b, rate), memory: '28.5GiB', p99Ms });
    let looks = 0;
    const placement = makePlacement(input, { objective: 'cost', timeLimitMs: 600, clock: () => looks++ });
    expect(placement.costPerHour).toBe(2);
    expect(placement.pools[0]?.replicas).toMatchObject([{ cacheTokens }]);
    const judged = judgedBy({
      stages: [{ id: 'answer', model: 'm' }],
      pools: [{ model: 'm', variant: 'default', maxBatch: 64, replicas: [{ devices: ['n/0'], cacheTokens }] }],
      profiles: [llm('m') as unknown as OracleProfile],
      devices: [{ id: 'n/0', kind: 'gpu' }],
      timesMs: input.load.timesMs,
      sizes: input.load.sizes,
      seed: 1,
    });
    expect(percentile(sortedNumbers(judged), 0.99)).toBeLessThanOrEqual(p99Ms);
  });

  it('takes no less for its steps than the bound, whatever runs together', () => {
    let turn = 0;
    const draw = () => drawOf(11, turn++, 1);
    for (let i = 0; i < 200; i += 1) {
      // Measured with noise: no times rise evenly.
      const decode = [1, 3, 8, 20].flatMap((batch) =>
        [200, 1_000, 4_000].map((tokens) => ({
          batch,
          tokens,
          ...row((10 + batch * (0.2 + draw()) + (batch * tokens * draw()) / 2_000) * (1 + 0.1 * draw())),
        })),
      );
      const table = tableOf(readProfile(JSON.stringify(llm('m', { decode: rising(decode) })), 'p.json').value);
      if (table.batching !== 'continuous') return expect.fail('an LLM');
      const most = 1 + Math.floor(20 * draw());
      const longest = 500 + 6_000 * draw();
      const tokens = longest * (1 + 10 * draw());
      const generated = { steps: 0, cached: 0, longest };
      let ms = 0;
      for (let step = 0; step < 30; step += 1) {
        const n = 1 + Math.floor(most * draw());
        const context = draw() * Math.min(longest, tokens / n);
        generated.steps += n;
        generated.cached += n * context;
        ms += stepAt(table.steps, n, context);
      }
      expect(leastStepsMs(table.steps, most, tokens, generated)).toBeLessThanOrEqual(ms * (1 + 1e-9));
    }
  });

  it('shares out no more of a step than it takes, among the sequences that are in time', () => {
    let turn = 0;
    const draw = () => drawOf(13, turn++, 1);
    for (let i = 0; i < 200; i += 1) {
      // Measured at long contexts: with an empty cache a line through some of the rows would be negative.
      const decode = [1, 3, 8, 20].flatMap((batch) =>
        [2_000, 4_000, 8_000].map((tokens) => ({
          batch,
          tokens,
          ...row((2 + batch * draw() + (batch * tokens * draw()) / 500) * (1 + 0.1 * draw())),
        })),
      );
      const table = tableOf(readProfile(JSON.stringify(llm('m', { decode: rising(decode) })), 'p.json').value);
      if (table.batching !== 'continuous') return expect.fail('an LLM');
      const { parts, perToken } = shareOfSteps(table.steps, 20);
      expect(Math.min(perToken, ...parts)).toBeGreaterThanOrEqual(0);
      for (let step = 0; step < 30; step += 1) {
        const n = 1 + Math.floor(20 * draw());
        const contexts = Array.from({ length: n }, () => 9_000 * draw() ** 3);
        const inTime = contexts.slice(0, 1 + Math.floor(n * draw()));
        const most = inTime.length + Math.floor((21 - inTime.length) * draw());
        const borne = inTime.reduce((sum, context) => sum + (parts[most] ?? 0) + perToken * context, 0);
        const mean = contexts.reduce((sum, context) => sum + context, 0) / n;
        expect(borne).toBeLessThanOrEqual(stepAt(table.steps, n, mean) * (1 + 1e-9));
      }
    }
  });

  it('takes as much as the bound where it always runs as many sequences as it can', () => {
    const table = tableOf(readProfile(JSON.stringify(llm('m')), 'p.json').value);
    if (table.batching !== 'continuous') return expect.fail('an LLM');
    // 10 sequences of 100 tokens fill the cache; of 150 tokens each, six or seven do.
    const bound = (context: number) =>
      leastStepsMs(table.steps, 64, 1_000, { steps: 1, cached: context, longest: 1_000 });
    expect(bound(100)).toBeCloseTo(stepAt(table.steps, 10, 100) / 10, 6);
    expect(bound(150)).toBeLessThan(stepAt(table.steps, 6, 150) / 6);
    expect(bound(150)).toBeGreaterThan(stepAt(table.steps, 7, 150) / 7);
    expect(bound(5)).toBeCloseTo(stepAt(table.steps, 64, 5) / 64, 6);
  });
});

describe('the mean of times over sizes', () => {
  const curveOf = (more: object) => {
    const profile = { format: 1, model: 'm', deviceKind: 'gpu', batching: 'dynamic', ...more };
    const table = tableOf(readProfile(JSON.stringify(profile), 'p.json').value);
    return table.batching === 'dynamic' ? table.call : expect.fail('batches');
  };
  const size = { variable: 'audio_s', typical: 5 };
  const uneven = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms * 1.3, p99Ms: p50Ms * 2 });
  const curves = [
    curveOf({ latency: [1, 4].map((batch) => ({ batch, ...uneven(10 + 3 * batch) })) }),
    curveOf({ size, latency: [1, 4].map((batch) => ({ batch, size: 3, ...uneven(10 + 3 * batch) })) }),
    curveOf({
      size,
      latency: [1, 4].flatMap((batch) =>
        [2, 7, 20].map((of) => ({ batch, size: of, ...uneven(5 + of * batch ** (of > 5 ? 1.2 : 0.5)) })),
      ),
    }),
  ];
  const sizes = Float64Array.from({ length: 500 }, (_, i) => 60 * drawOf(5, i, 1) ** 4);
  const counts = sizes.map((_, i) => Math.floor(4 * drawOf(5, i, 2)));

  it('is made of sizes that are kept once for all typical ones, where each run states its own', () => {
    const at = Float64Array.of(0, 1);
    const stated = loadOf(at, { audio_s: Float64Array.of(2, 5) });
    const lacking = loadOf(at, { audio_s: Float64Array.of(2, Number.NaN) });
    const call = curveOf({ latency: [{ batch: 1, ...uneven(10) }] });
    const table = { batching: 'dynamic', overheadMs: 0, column: 'audio_s', call } as const;
    const sizesWith = (load: Load, typical: number) =>
      sizesOfCalls(load, { ...table, typical }, { pipeline: 0 }, undefined);
    expect(sizesWith(stated, 3)).toBe(sizesWith(stated, 9));
    expect(sizesWith(lacking, 3).sizes.sizes).toEqual(Float64Array.of(2, 3));
    expect(sizesWith(lacking, 9).sizes.sizes).toEqual(Float64Array.of(2, 9));
  });

  it('is that of the largest in batches of the calls in order, also of runs with many calls', () => {
    const own = Float64Array.of(3, 1, 4, 2);
    const calls = Float64Array.of(2, 9, 0, 4);
    const load = loadOf(Float64Array.of(0, 1, 2, 3), { own, calls });
    const stage = { pipeline: 0, fanOut: { column: 'calls', mean: 3.75, some: 0.75 } };
    const largest = (batch: number) =>
      largestOfBatches(
        load,
        { batching: 'dynamic', column: 'own', typical: 1 } as DynamicTable,
        stage,
        undefined,
        batch,
      );
    // 3 3 1 1 | 1 1 1 1 | 1 1 1 2, and three that fill no batch.
    expect([...largest(4).sizes]).toEqual([1, 2, 3]);
    expect([...largest(4).calls]).toEqual([1, 2, 3]);
    expect([...largest(1).sizes]).toEqual([1, 2, 3]);
    expect([...largest(1).calls]).toEqual([9, 13, 15]);
  });

  it('is that of all calls, each as often as it counts', () => {
    for (const curve of curves) {
      for (const own of [undefined, counts]) {
        const parts = partsOf(ascending(sizes, own), curve.sizes);
        const of = (i: number) => own?.[i] ?? 1;
        const all = sizes.reduce((sum, _, i) => sum + of(i), 0);
        const mean = sizes.reduce((sum, each, i) => sum + of(i) * meanAt(curve, 4, each), 0) / all;
        expect(meanOver(parts, (each) => meanAt(curve, 4, each))).toBeCloseTo(mean, 6);
      }
    }
  });

  it('is no less than that of the floor of all batches', () => {
    for (const curve of curves) {
      const workMs = (batch: number, each: number) => meanAt(curve, batch, each) / batch;
      const floor = sizeFloor(curve, 4, workMs);
      for (const each of sizes)
        for (const batch of [1, 2, 3, 4]) expect(floorAt(floor, each)).toBeLessThanOrEqual(workMs(batch, each) + 1e-9);
    }
  });
});
