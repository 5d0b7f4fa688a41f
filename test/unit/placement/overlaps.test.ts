import { describe, expect, it } from 'vitest';
import { aligned } from '../../../placement/day/align.js';
import { placedOf } from '../../../placement/day/switching.js';
import { makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { exhaust } from '../../../placement/planner/exhaust.js';
import {
  balance,
  buildProblem,
  type Candidate,
  costOf,
  isPossible,
  Judge,
  LowerBound,
  lossesOf,
  mostTokensOf,
  type PlannerInput,
  type Problem,
  replicasByDevice,
  roomOf,
  searchCheapest,
  simulatedPlacement,
} from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { arrivals, drawOf, loadOf, percentile, Simulator, sortedNumbers } from '../../../placement/simulator/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { judgedBy, type OracleProfile } from '../../oracle/placement-oracle.js';

const SLOW = { timeout: 240_000 };
const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });

interface Model {
  readonly model: string;
  readonly ms: number;
  readonly width?: number;
  /** GiB on all of its devices together. */
  readonly weights?: number;
  readonly llm?: boolean;
  /** The model of the stage before; default: by the pipeline. */
  readonly after?: string;
}

const profileOf = ({ model, ms, width = 1, weights = 2, llm = false }: Model) => ({
  format: 1,
  model,
  deviceKind: 'gpu',
  parallel: { tensor: width, pipeline: 1 },
  ...(llm
    ? {
        batching: 'continuous',
        memory: { weights: `${weights}GiB`, perToken: '128KiB' },
        prefill: [{ tokens: 100, ...row(ms) }],
        decode: [1, 8].map((batch) => ({ batch, ...row(ms * (1 + batch / 40)) })),
      }
    : { batching: 'dynamic', memory: { weights: `${weights}GiB` }, latency: [{ batch: 1, ...row(ms) }] }),
});

/** The second simulator's devices are joined by links that take no time. */
const LINK = 'links: [{ name: bus, type: pcie, joins: [n], bandwidth: 1000GB/s, latency: 0us }]\n';

interface Of {
  readonly models: readonly Model[];
  /** Each stage waits for the one before it. */
  readonly chained?: boolean;
  readonly rate?: number;
  readonly count?: number;
  readonly p99Ms?: number;
  readonly devices?: number;
  readonly sharing?: string;
}

function inputOf({
  models,
  chained = true,
  rate = 1,
  count = 400,
  p99Ms = 3_000,
  devices = 4,
  ...of
}: Of): PlannerInput {
  const stages = models.map(({ model, after }, i) => {
    const before = after ?? (chained ? models[i - 1]?.model : undefined);
    return { id: model, model, after: before === undefined ? [] : [before] };
  });
  const timesMs = arrivals({ count, rate, seed: 2 });
  const sizes = { tokens_in: timesMs.map(() => 100), tokens_out: timesMs.map((_, i) => 20 + (i % 40)) };
  const sharing = of.sharing ?? 'time-sliced';
  return {
    pipelines: [readPipelineShape(JSON.stringify({ format: 1, name: 'p', stages }), 'p.json')],
    inventory: readInventory(
      `format: 1\nnodes:\n  - name: n\n    devices: [{ kind: gpu, count: ${devices}, memory: 80GiB, pricePerHour: 2, sharing: ${sharing} }]\n${LINK}`,
    ),
    profiles: readProfiles(
      models.map((each) => ({ file: `${each.model}.json`, text: JSON.stringify(profileOf(each)) })),
    ),
    load: loadOf(timesMs, sizes),
    objective: { p99Ms },
  };
}

/** By model, the devices of its replica. */
const on = (problem: Problem, ...devices: readonly (readonly number[])[]): Candidate => ({
  configs: problem.pools.map(({ configs }) => configs.length - 1),
  replicas: devices.map((each, pool) => ({ pool, devices: each })),
});

/** One of four devices, or two of them that are a half. */
const anyGroup = (draw: () => number): readonly number[] => {
  const first = Math.floor(4 * draw());
  return draw() < 0.5 ? [first] : [first - (first % 2), first - (first % 2) + 1];
};

/** An LLM on two devices, and small models before and behind it. */
const LLM: Model = { model: 'answer', ms: 12, width: 2, weights: 80, llm: true };
const VOICE: readonly Model[] = [{ model: 'hear', ms: 60 }, LLM, { model: 'speak', ms: 90 }];

describe('a model on some of the devices that another spans', SLOW, () => {
  it('is cheaper than one with devices of its own', () => {
    let ticks = 0;
    const input = inputOf({ models: VOICE, rate: 0.3 });
    const placement = makePlacement(input, { objective: 'cost', timeLimitMs: 2_000, clock: () => ticks++ });
    // With devices of their own, the small models cost a third.
    expect(placement.costPerHour).toBe(4);
    expect(placement.optimal).toBe(true);
    expect(placement.pools.map(({ replicas }) => replicas[0]?.devices.length)).toEqual([1, 2, 1]);
    for (const { memoryBytes } of Object.values(placement.predicted.devices)) {
      expect(memoryBytes).toBeLessThanOrEqual(0.9 * 80 * 2 ** 30);
    }
  });

  it('may share them only evenly, and only within or around another’s devices', () => {
    const possible = (sharing: string, ...devices: readonly (readonly number[])[]) => {
      const models = devices.map((each, i) => ({ model: `m${i}`, ms: 10, width: each.length }));
      const problem = buildProblem(inputOf({ models, sharing, devices: 8 }));
      return isPossible(problem, on(problem, ...devices));
    };
    expect(possible('time-sliced', [0, 1], [0])).toBe(true);
    expect(possible('time-sliced', [0, 1], [1], [0])).toBe(true);
    expect(possible('time-sliced', [0, 1, 2, 3], [2, 3], [3])).toBe(true);
    expect(possible('time-sliced', [0, 1], [1, 2])).toBe(false);
    expect(possible('time-sliced', [0, 1, 2, 3], [3, 4])).toBe(false);
    expect(possible('serial', [0, 1], [0])).toBe(false);
    expect(possible('serial', [0, 1], [0, 1])).toBe(true);
    expect(possible('exclusive', [0, 1], [0])).toBe(false);
  });

  it('leaves an LLM the cache for which the fuller device has room', () => {
    const problem = buildProblem(inputOf({ models: [LLM, { model: 'big', ms: 10, weights: 20 }] }));
    const tokens = (...devices: readonly (readonly number[])[]) => {
      const candidate = on(problem, ...devices);
      const [llm] = candidate.replicas;
      return llm ? mostTokensOf(problem, candidate, llm, replicasByDevice(candidate)) : 0;
    };
    // 128 KiB a token on two devices.
    const lost = tokens([0, 1], [2]) - tokens([0, 1], [0]);
    expect(lost).toBe((20 * 2 ** 30) / (64 * 2 ** 10));
    expect(tokens([0, 1], [1])).toBe(tokens([0, 1], [0]));
    const cell = problem.cells[0];
    const weights = 40 * 2 ** 30;
    expect(weights + tokens([0, 1], [1]) * 64 * 2 ** 10).toBeLessThanOrEqual(
      (cell ? roomOf(cell, true) : 0) - 20 * 2 ** 30,
    );
  });

  it('of a loss leaves what the lost replica did not touch', () => {
    const models: readonly Model[] = [
      { model: 'wide', ms: 10, width: 2 },
      { model: 'a', ms: 10 },
      { model: 'b', ms: 10 },
    ];
    const problem = buildProblem(inputOf({ models }));
    const candidate: Candidate = {
      configs: [0, 0, 0],
      replicas: [
        { pool: 0, devices: [0, 1] },
        { pool: 1, devices: [0] },
        { pool: 0, devices: [2, 3] },
        { pool: 2, devices: [2] },
      ],
    };
    // Devices 1 and 3 have the same replicas, but their losses free others.
    const left = lossesOf(problem, candidate, 'device').map(({ without, rest }) => [
      without,
      rest.replicas.map(({ pool, devices }) => `${pool}@${devices.join('+')}`).join(' '),
    ]);
    expect(left).toEqual([
      ['n/0', '0@2+3 2@2'],
      ['n/1', '1@0 0@2+3 2@2'],
      ['n/2', '0@0+1 1@0'],
      ['n/3', '0@0+1 1@0 2@2'],
    ]);
  });

  it('stays with it when a day’s placements are put on the same devices', () => {
    const problem = buildProblem(inputOf({ models: VOICE }));
    const [before, after] = [on(problem, [3], [2, 3], [2]), on(problem, [0], [0, 1], [1])];
    const moved = aligned(problem, after, placedOf(problem, before));
    expect(isPossible(problem, moved)).toBe(true);
    expect(moved.replicas.map(({ devices }) => devices)).toEqual([[2], [2, 3], [3]]);
    const kept = (other: Candidate) => {
      const { servers } = placedOf(problem, other);
      return [...placedOf(problem, moved).servers].flatMap(([key, { model }]) => (servers.has(key) ? [model] : []));
    };
    // An LLM with one neighbour on each device has the same cache whichever they are; with both on one it has less.
    expect(kept(before)).toEqual(['answer']);
    expect(kept(on(problem, [2], [2, 3], [2]))).toEqual(['hear']);
  });
});

describe('devices that are shared in part', SLOW, () => {
  const cells: readonly [string, Of, readonly (readonly number[])[]][] = [
    ['an LLM on two devices between small models on each', { models: VOICE, rate: 1.6 }, [[0], [0, 1], [1]]],
    ['an LLM on two devices with both small models on one', { models: VOICE, rate: 1.6 }, [[1], [0, 1], [1]]],
    [
      'four devices, two of them, and one',
      {
        models: [
          { model: 'a', ms: 40, width: 4 },
          { model: 'b', ms: 60, width: 2 },
          { model: 'c', ms: 50 },
          { model: 'd', ms: 70 },
        ],
        rate: 5,
        count: 2_000,
      },
      [[0, 1, 2, 3], [0, 1], [2], [1]],
    ],
  ];

  const names = Array.from({ length: 4 }, (_, i) => `n/${i}`);

  /** Latencies by the simulator and by the second one. */
  function both(of: Of, devices: readonly (readonly number[])[]): readonly [Float64Array, Float64Array] {
    const problem = buildProblem(inputOf(of));
    const candidate = on(problem, ...devices);
    expect(isPossible(problem, candidate)).toBe(true);
    const { load, stages, simulated } = problem;
    const placement = simulatedPlacement(problem, candidate);
    const { latencyMs } = new Simulator(stages, simulated, load).run(placement);
    const judged = judgedBy({
      stages: of.models.map(({ model }, i) => ({
        id: model,
        model,
        after: i > 0 ? [of.models[i - 1]?.model ?? ''] : [],
      })),
      pools: of.models.map(({ model }, p) => ({
        model,
        variant: 'default',
        maxBatch: placement.pools[p]?.maxBatch ?? 1,
        replicas: [{ devices: (devices[p] ?? []).map((d) => names[d] ?? '') }],
      })),
      profiles: of.models.map(profileOf) as unknown as readonly OracleProfile[],
      devices: names.map((id) => ({ id, kind: 'gpu' })),
      timesMs: load.timesMs,
      sizes: load.sizes,
      seed: 1,
    });
    return [latencyMs, judged];
  }

  it.each(cells)('are as slow as a second simulator says: %s', (_, of, devices) => {
    const all = both(of, devices);
    for (const share of [0.5, 0.95, 0.99]) {
      const [ours = 0, theirs = 1] = all.map((each) => percentile(sortedNumbers(each), share));
      expect(Math.abs(ours / theirs - 1)).toBeLessThan(of.models[1]?.llm ? 0.05 : 0.001);
    }
  });

  it('take each run as long as the second simulator says, on any devices within each other', () => {
    let turn = 0;
    const draw = () => drawOf(5, turn++, 3);
    for (let i = 0; i < 20; i += 1) {
      const devices = [[0, 1, 2, 3], ...Array.from({ length: 2 + Math.floor(4 * draw()) }, () => anyGroup(draw))];
      const models = devices.map(({ length: width }, m) => ({
        model: `m${m}`,
        ms: 10 + Math.floor(50 * draw()),
        width,
      }));
      const [ours, theirs] = both({ models, rate: 2 + 6 * draw(), count: 200 }, devices);
      for (const [run, ms] of ours.entries()) expect(Math.abs(ms - (theirs[run] ?? 0))).toBeLessThan(1e-3);
    }
  });

  /** Whether queues grow: the last quarter of the runs takes far longer than the second. */
  function grows(problem: Problem, candidate: Candidate, speed: number): boolean {
    const { load, stages, simulated } = problem;
    const { latencyMs } = new Simulator(stages, simulated, load).run(simulatedPlacement(problem, candidate), { speed });
    const quarter = latencyMs.length / 4;
    const mean = (from: number) => latencyMs.slice(from, from + quarter).reduce((sum, ms) => sum + ms, 0) / quarter;
    return mean(3 * quarter) > 1.9 * mean(quarter);
  }

  it('lose the time in which a replica waits on one of them: a load that each could take alone is too much', () => {
    const models: readonly Model[] = [
      { model: 'wide', ms: 60, width: 2 },
      { model: 'a', ms: 38 },
      { model: 'b', ms: 38, after: 'a' },
    ];
    const problem = buildProblem(inputOf({ models, chained: false, rate: 10, count: 12_000 }));
    const candidate = on(problem, [0, 1], [0], [1]);
    // Each device is busy for 98 % of the time at most.
    expect(balance(problem, candidate).peak).toBeGreaterThan(1);
    expect(grows(problem, candidate, 1)).toBe(true);
    const { peak } = balance(problem, candidate);
    expect(grows(problem, candidate, 0.9 / peak)).toBe(false);
  });

  it('sustain every load that is accepted', () => {
    let turn = 0;
    const draw = () => drawOf(7, turn++, 3);
    for (let i = 0; i < 30; i += 1) {
      const devices = [[0, 1, 2, 3], ...Array.from({ length: 2 + Math.floor(4 * draw()) }, () => anyGroup(draw))];
      // The calls of the widest are the longest: what its neighbours cost it matters.
      const models = devices.map(({ length: width }, m) => ({
        model: `m${m}`,
        ms: (m === 0 ? 80 : 5) + 40 * draw(),
        width,
      }));
      const problem = buildProblem(inputOf({ models, chained: i % 2 === 0, count: 12_000, p99Ms: 1e6 }));
      const candidate = on(problem, ...devices);
      expect(isPossible(problem, candidate)).toBe(true);
      expect(grows(problem, candidate, 0.85 / balance(problem, candidate).peak)).toBe(false);
    }
  });
});

describe('a search over devices that are shared in part', SLOW, () => {
  const models: readonly Model[] = [
    { model: 'wide', ms: 30, width: 2, weights: 60 },
    { model: 'a', ms: 25, weights: 20 },
    { model: 'b', ms: 35, weights: 20 },
  ];

  /** The cheapest of all placements with one replica of each model on three devices. */
  function cheapestOfAll(problem: Problem, judge: Judge): number {
    const groups = [
      [0, 1],
      [1, 2],
    ];
    const all = groups.flatMap((wide) => [0, 1, 2].flatMap((a) => [0, 1, 2].map((b) => on(problem, wide, [a], [b]))));
    return Math.min(...all.filter((each) => judge.holds(each)).map((each) => costOf(problem, each)));
  }

  it.each([2, 5, 8])('finds what trying all of them finds, and proves it: %s runs a second', (rate) => {
    const problem = buildProblem(inputOf({ models, devices: 3, rate, count: 1_000, p99Ms: 300 }));
    const judge = new Judge(problem);
    let ticks = 0;
    const found = searchCheapest(problem, { timeLimitMs: 20_000, clock: () => ticks++ }, judge);
    const best = cheapestOfAll(problem, judge);
    expect(found?.value).toBeLessThanOrEqual(best);
    expect(found?.bound).toBeLessThanOrEqual(best);
    const lower = new LowerBound(problem);
    lower.tighten(() => true, Number.POSITIVE_INFINITY);
    expect(lower.value).toBeLessThanOrEqual(found?.value ?? 0);
    // Nothing cheaper than what it found, by its own enumeration, and it enumerates placements that overlap.
    expect(exhaust(problem, judge, lower, found?.value ?? 0, () => true).found).toBeUndefined();
    const again = exhaust(problem, judge, lower, (found?.value ?? 0) + 1e-6, () => true).found;
    expect(again && costOf(problem, again)).toBe(found?.value);
  });
});
