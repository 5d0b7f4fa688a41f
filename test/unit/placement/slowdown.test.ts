import { describe, expect, it } from 'vitest';
import { withNode } from '../../../measure/inventory/cluster-file.js';
import { generate } from '../../../placement/apply/index.js';
import { makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import {
  balance,
  buildProblem,
  type Candidate,
  costOf,
  Judge,
  LowerBound,
  type PlannerInput,
  type Problem,
  simulatedPlacement,
} from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { arrivals, drawOf, loadOf, percentile, Simulator, sortedNumbers } from '../../../placement/simulator/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { judgedBy, type OracleProfile } from '../../oracle/placement-oracle.js';
import { options } from './apply/generated.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };

interface Of {
  /** Milliseconds of a call of each model, alone on a device. */
  readonly ms: readonly number[];
  readonly sharing?: string;
  readonly rate?: number;
  readonly count?: number;
  readonly p99Ms?: number;
  /** Of a device: its line but for kind, memory and price. */
  readonly shared?: string;
  readonly devices?: number;
}

const name = (i: number) => `m${i}`;
const cluster = (shared: string, devices = 3) =>
  `format: 1\nnodes:\n  - name: n\n    devices: [{ kind: gpu, count: ${devices}, memory: 80GiB, pricePerHour: 2, ${shared} }]\n`;
const profilesOf = (ms: readonly number[], deviceKind = 'gpu') =>
  ms.map((p50Ms, i) => ({
    format: 1,
    model: name(i),
    deviceKind,
    batching: 'dynamic',
    memory: { weights: '4GiB' },
    latency: [{ batch: 1, p50Ms, p95Ms: p50Ms, p99Ms: p50Ms }],
  }));

/** A chain of models on devices that run four calls at once, each twice as long then. */
function inputOf({ ms, rate = 5, count = 2_000, p99Ms = 2_000, shared, devices, ...of }: Of): PlannerInput {
  const stages = ms.map((_, i) => ({ id: name(i), model: name(i), after: i > 0 ? [name(i - 1)] : [] }));
  const sharing = of.sharing ?? 'time-sliced';
  const line = shared ?? `concurrency: 4, slowdown: 2, sharing: ${sharing}`;
  return {
    pipelines: [readPipelineShape(JSON.stringify({ format: 1, name: 'p', stages }), 'p.json')],
    inventory: readInventory(cluster(line, devices)),
    profiles: readProfiles(profilesOf(ms).map((each, i) => ({ file: `${i}.json`, text: JSON.stringify(each) }))),
    load: loadOf(arrivals({ count, rate, seed: 2 })),
    objective: { p99Ms },
  };
}

/** By model, the device of its replica. */
const on = (problem: Problem, devices: readonly number[]): Candidate => ({
  configs: problem.pools.map(() => 0),
  replicas: devices.map((device, pool) => ({ pool, devices: [device] })),
});

function latencies(problem: Problem, candidate: Candidate, speed = 1): Float64Array {
  const { load, stages, simulated } = problem;
  return new Simulator(stages, simulated, load).run(simulatedPlacement(problem, candidate), { speed }).latencyMs;
}

describe('calls that slow each other', SLOW, () => {
  it.each<[string, Of]>([
    ['fewer than run at once', { ms: [60, 45, 80], rate: 7 }],
    ['more than run at once', { ms: [60, 45, 80, 30, 55, 70], rate: 4.5 }],
    ['more than run at once, in order', { ms: [60, 45, 80, 30, 55, 70], rate: 4.5, sharing: 'serial' }],
  ])('take as long as a second simulator says: %s', (_, of) => {
    const problem = buildProblem(inputOf(of));
    const ours = latencies(
      problem,
      on(
        problem,
        of.ms.map(() => 0),
      ),
    );
    const { load } = problem;
    const theirs = judgedBy({
      stages: of.ms.map((_each, i) => ({ id: name(i), model: name(i), after: i > 0 ? [name(i - 1)] : [] })),
      pools: of.ms.map((_each, i) => ({
        model: name(i),
        variant: 'default',
        maxBatch: 1,
        replicas: [{ devices: ['n/0'] }],
      })),
      profiles: profilesOf(of.ms) as unknown as readonly OracleProfile[],
      devices: [
        {
          id: 'n/0',
          kind: 'gpu',
          concurrency: 4,
          slowdown: 2,
          ...(of.sharing === 'serial' && { sharing: 'serial' as const }),
        },
      ],
      timesMs: load.timesMs,
      sizes: load.sizes,
      seed: 1,
    });
    for (const share of [0.5, 0.95, 0.99]) {
      const [a = 0, b = 1] = [ours, theirs].map((all) => percentile(sortedNumbers(all), share));
      expect(Math.abs(a / b - 1)).toBeLessThan(0.001);
    }
    // Longer than alone: the calls are at once often enough for a difference between the simulators to show.
    const alone = of.ms.reduce((sum, each) => sum + each, 0);
    expect(percentile(sortedNumbers(ours), 0.95)).toBeGreaterThan(1.2 * alone);
  });

  /** Whether queues grow: the last quarter of the runs takes far longer than the second. */
  function grows(problem: Problem, candidate: Candidate, speed: number): boolean {
    const all = latencies(problem, candidate, speed);
    const quarter = all.length / 4;
    const mean = (from: number) => all.slice(from, from + quarter).reduce((sum, ms) => sum + ms, 0) / quarter;
    return mean(3 * quarter) > 1.9 * mean(quarter);
  }

  it('leave a busy model less than the rest of the device’s capacity', () => {
    const problem = buildProblem(inputOf({ ms: [90, 50], rate: 10, count: 12_000 }));
    const candidate = on(problem, [0, 0]);
    // Two calls at once advance by 1.5; 0.9 + 0.5 are less. But beside the second model the first advances by 0.83.
    expect(balance(problem, candidate).peak).toBeGreaterThan(1);
    expect(grows(problem, candidate, 1)).toBe(true);
    expect(grows(problem, candidate, 0.9 / balance(problem, candidate).peak)).toBe(false);
  });

  it('sustain every load that is accepted', () => {
    let turn = 0;
    const draw = () => drawOf(11, turn++, 3);
    for (let i = 0; i < 16; i += 1) {
      const ms = Array.from({ length: 2 + Math.floor(draw() * 5) }, () => 5 + 90 * draw() ** 2);
      const slowdown = (1 + 3 * draw()).toFixed(2);
      const shared = `concurrency: ${4 + (i % 2)}, slowdown: ${slowdown}`;
      const problem = buildProblem(inputOf({ ms, rate: 1, count: 12_000, p99Ms: 1e6, shared }));
      const candidate = on(
        problem,
        ms.map(() => 0),
      );
      expect(grows(problem, candidate, 0.85 / balance(problem, candidate).peak)).toBe(false);
    }
  });

  it('need more devices, which the bound says as well', () => {
    const of = { ms: [120, 120, 120, 120], rate: 5, p99Ms: 1_500 };
    const plan = (shared: string) => {
      let ticks = 0;
      return makePlacement(inputOf({ ...of, shared }), {
        objective: 'cost',
        timeLimitMs: 2_000,
        clock: () => ticks++,
      });
    };
    const free = plan('concurrency: 4');
    const slowed = plan('concurrency: 4, slowdown: 2');
    expect(free.costPerHour).toBe(2);
    // There are 2.4 calls at once on average, and a device does the work of two.
    expect(slowed.costPerHour).toBe(4);
    expect(slowed.bound).toBe(4);
    expect(slowed.predicted.p99Ms).toBeLessThanOrEqual(1_500);
  });

  it('have no bound above the cost of a placement that holds', () => {
    for (const rate of [1, 3, 5, 8]) {
      const problem = buildProblem(inputOf({ ms: [60, 90], rate, p99Ms: 400 }));
      const judge = new Judge(problem);
      const lower = new LowerBound(problem);
      lower.tighten(() => true, Number.POSITIVE_INFINITY);
      for (const devices of [
        [0, 0],
        [0, 1],
      ]) {
        const candidate = on(problem, devices);
        if (!judge.holds(candidate)) continue;
        expect(lower.value).toBeLessThanOrEqual(costOf(problem, candidate) + 1e-9);
        expect(lower.excludes(candidate.replicas)).toBe(false);
      }
    }
  });
});

describe('slowdown in an inventory', () => {
  it('belongs to a device that runs several calls at once, and is no worse than one after the other', () => {
    const mps = readInventory(cluster('share: { mode: mps, parts: 4 }, slowdown: 1.6'));
    expect(mps.devices[0]).toMatchObject({ kind: 'gpu:mps4', concurrency: 4, slowdown: 1.6 });
    const wrong = (shared: string) => refusal(() => readInventory(cluster(shared))).fields;
    expect(wrong('slowdown: 1.5')).toEqual([
      expect.stringMatching(/^cluster.yaml:4 nodes\[0\].devices\[0\].slowdown: 1.5 is more than 1, the calls at once/),
    ]);
    expect(wrong('concurrency: 2, slowdown: 3')).toEqual([expect.stringMatching(/slowdown: 3 is more than 2/)]);
    expect(wrong('concurrency: 2, slowdown: 0.5')).toEqual([expect.stringMatching(/slowdown: at least 1/)]);
    expect(wrong('concurrency: 2, slowdown: fast')).toEqual([expect.stringMatching(/slowdown: give how many times/)]);
  });

  it('is kept when the node is listed again', () => {
    const before = cluster('share: { mode: mps, parts: 4 }, slowdown: 1.6', 1);
    const found = { node: 'n', devices: [{ kind: 'gpu', count: 2, memory: '80GiB' }], endpoints: [] };
    const { devices } = readInventory(withNode(before, found, 'cluster.yaml'));
    expect(devices.map(({ kind, slowdown }) => [kind, slowdown])).toEqual([
      ['gpu:mps4', 1.6],
      ['gpu:mps4', 1.6],
    ]);
  });
});

describe('servers on a GPU that MPS shares', () => {
  it('get the part of its threads that was planned', () => {
    const input = inputOf({
      ms: [60, 90],
      rate: 4,
      shared: 'share: { mode: mps, parts: 4 }, slowdown: 1.4',
      devices: 1,
    });
    const profiles = readProfiles(
      profilesOf([60, 90], 'gpu:mps4').map((each, i) => ({ file: `${i}.json`, text: JSON.stringify(each) })),
    );
    let ticks = 0;
    const placement = makePlacement(
      { ...input, profiles },
      { objective: 'cost', timeLimitMs: 500, clock: () => ticks++ },
    );
    const base = {
      m0: { connector: 'triton', model: 'm0', kind: 'embed' },
      m1: { connector: 'triton', model: 'm1', kind: 'embed' },
    };
    const { files, notes } = generate(placement, input.inventory, { ...options, base, configOf: () => undefined });
    const [command = ''] = files.flatMap(({ path, text }) => (path.startsWith('commands/') ? [text] : []));
    const replicas = placement.pools.reduce((sum, pool) => sum + pool.replicas.length, 0);
    expect(command).toContain(`CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=${25 * replicas} `);
    expect(notes.join('\n')).toMatch(/shared by MPS \(gpu:mps4\): start nvidia-cuda-mps-control -d on its node/);
  });
});
