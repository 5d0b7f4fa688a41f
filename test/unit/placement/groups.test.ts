import { describe, expect, it } from 'vitest';
import { generate } from '../../../placement/apply/index.js';
import { makePlacement } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import {
  buildProblem,
  type Candidate,
  costOf,
  isPossible,
  Judge,
  LowerBound,
  type PlannerInput,
  simulatedPlacement,
} from '../../../placement/planner/index.js';
import { readProfiles } from '../../../placement/profiles/index.js';
import { arrivals, loadOf, percentile, Simulator, sortedNumbers } from '../../../placement/simulator/index.js';
import { readPipelineShape } from '../../../placement/workload/index.js';
import { judgedBy, type OracleProfile } from '../../oracle/placement-oracle.js';

const SLOW = { timeout: 240_000 };
const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });
const llm = (model: string, tensor: number, ms: number, weights = '40GiB') => ({
  format: 1,
  model,
  variant: `tp${tensor}`,
  deviceKind: 'gpu',
  parallel: { tensor, pipeline: 1 },
  batching: 'continuous',
  memory: { weights, perToken: '128KiB' },
  prefill: [{ tokens: 100, ...row(ms) }],
  decode: [1, 8].map((batch) => ({ batch, ...row(ms * (1 + batch / 40)) })),
});
const cluster = (sharing = 'time-sliced', count = 6) => `format: 1
nodes:
  - name: n
    devices: [{ kind: gpu, count: ${count}, memory: 80GiB, pricePerHour: 2, sharing: ${sharing} }]
`;

interface Of {
  readonly rate?: number;
  readonly sharing?: string;
  readonly profiles?: readonly object[];
  readonly p99Ms?: number;
}

/** Two LLMs one after the other, each in tensor parallel on two devices. */
function inputOf({
  rate = 0.5,
  sharing,
  profiles = [llm('a', 2, 10), llm('b', 2, 10)],
  p99Ms = 2_500,
}: Of = {}): PlannerInput {
  const stages = [
    { id: 'first', model: 'a' },
    { id: 'second', model: 'b', after: ['first'] },
  ];
  const timesMs = arrivals({ count: 400, rate, seed: 2 });
  const sizes = { tokens_in: timesMs.map(() => 100), tokens_out: timesMs.map((_, i) => 20 + (i % 40)) };
  return {
    pipelines: [readPipelineShape(JSON.stringify({ format: 1, name: 'p', stages }), 'p.json')],
    inventory: readInventory(cluster(sharing)),
    profiles: readProfiles(profiles.map((each, i) => ({ file: `${i}.json`, text: JSON.stringify(each) }))),
    load: loadOf(timesMs, sizes),
    objective: { p99Ms },
  };
}

function plan(input: PlannerInput) {
  let ticks = 0;
  return makePlacement(input, { objective: 'cost', timeLimitMs: 3_000, clock: () => ticks++ });
}

const devicesOf = ({ pools }: ReturnType<typeof plan>) =>
  pools.map(({ replicas }) => replicas.map(({ devices }) => devices.join('+')).join(' '));

describe('replicas that span devices', SLOW, () => {
  it('share them if the load and the memory allow it, which is the cheapest that there is', () => {
    const shared = plan(inputOf());
    expect(shared.costPerHour).toBe(4);
    expect(new Set(devicesOf(shared)).size).toBe(1);
    expect(shared.optimal).toBe(true);
    const [first, second] = shared.pools.map(({ replicas }) => replicas[0]);
    // Both have their weights and half of what is left of 90 % of two devices of 80 GiB, in tokens of 128 KiB.
    expect((first?.memoryBytes ?? 0) + (second?.memoryBytes ?? 0)).toBeLessThanOrEqual(0.9 * 80 * 2 ** 30);
    expect(first?.cacheTokens).toBe(second?.cacheTokens);
  });

  it('have them alone where that is the device’s way of sharing, or where the weights of two do not fit', () => {
    expect(plan(inputOf({ sharing: 'exclusive' })).costPerHour).toBe(8);
    const large = [llm('a', 2, 10, '80GiB'), llm('b', 2, 10, '80GiB')];
    expect(plan(inputOf({ profiles: large })).costPerHour).toBe(8);
  });

  it('have them alone where the load needs all of their time', () => {
    expect(plan(inputOf({ rate: 12, p99Ms: 2_500 })).costPerHour).toBeGreaterThan(4);
  });

  it('share the same ones, or some of them with one that needs no others', () => {
    const problem = buildProblem(inputOf({ profiles: [llm('a', 2, 10), llm('b', 2, 10), llm('b', 1, 18)] }));
    const of = (...on: readonly (readonly number[])[]): Candidate => ({
      configs: problem.pools.map(({ configs }, p) =>
        configs.findLastIndex(({ uses }) => uses[0]?.width === on[p]?.length),
      ),
      replicas: on.map((devices, pool) => ({ pool, devices })),
    });
    expect(isPossible(problem, of([0, 1], [0, 1]))).toBe(true);
    expect(isPossible(problem, of([0, 1], [2, 3]))).toBe(true);
    expect(isPossible(problem, of([0, 1], [1, 2]))).toBe(false);
    expect(isPossible(problem, of([0, 1], [0]))).toBe(true);
    expect(isPossible(problem, of([0, 1], [2]))).toBe(true);
    // A judge knows results by a key: what is possible and what is not are told apart, in either order.
    const judge = new Judge(problem);
    expect(judge.holds(of([0, 1], [1, 2]))).toBe(false);
    expect(judge.holds(of([0, 1], [2, 3]))).toBe(true);
    expect(judge.holds(of([0, 1], [0, 1]))).toBe(true);
    expect(judge.holds(of([0, 1], [1, 2]))).toBe(false);
  });

  it('are not excluded by the bound', () => {
    for (const rate of [0.5, 2, 6]) {
      const problem = buildProblem(inputOf({ rate }));
      const judge = new Judge(problem);
      const lower = new LowerBound(problem);
      lower.tighten(() => true, Number.POSITIVE_INFINITY);
      const configs = problem.pools.map(({ configs: all }) => all.length - 1);
      for (const on of [
        [[0, 1]],
        [
          [0, 1],
          [2, 3],
        ],
        [
          [0, 1],
          [2, 3],
          [4, 5],
        ],
      ]) {
        const replicas = on.flatMap((devices) => [0, 1].map((pool) => ({ pool, devices })));
        const candidate = { configs, replicas };
        if (!judge.holds(candidate)) continue;
        expect(lower.value).toBeLessThanOrEqual(costOf(problem, candidate) + 1e-9);
        expect(lower.excludes(replicas)).toBe(false);
      }
    }
  });

  it('are as slow as a second simulator says, which looks at every device that they span', () => {
    const profiles = [llm('a', 2, 10), llm('b', 2, 14)];
    const problem = buildProblem(inputOf({ rate: 3, profiles }));
    const candidate = {
      configs: problem.pools.map(({ configs }) => configs.length - 1),
      replicas: [0, 1].map((pool) => ({ pool, devices: [0, 1] })),
    };
    const { load, stages, simulated } = problem;
    const { latencyMs } = new Simulator(stages, simulated, load).run(simulatedPlacement(problem, candidate));
    const judged = judgedBy({
      stages: [
        { id: 'first', model: 'a' },
        { id: 'second', model: 'b', after: ['first'] },
      ],
      pools: ['a', 'b'].map((model) => ({
        model,
        variant: 'tp2',
        maxBatch: 8,
        replicas: [{ devices: ['n/0', 'n/1'] }],
      })),
      profiles: profiles as unknown as readonly OracleProfile[],
      devices: ['n/0', 'n/1'].map((id) => ({ id, kind: 'gpu' })),
      timesMs: load.timesMs,
      sizes: load.sizes,
      seed: 1,
    });
    for (const share of [0.5, 0.95, 0.99]) {
      const [ours, theirs] = [latencyMs, judged].map((all) => percentile(sortedNumbers(all), share));
      expect(Math.abs((ours ?? 0) / (theirs ?? 1) - 1)).toBeLessThan(0.05);
    }
  });

  it('are applied as servers that see the same devices, with the share of each and ports of their own', () => {
    const placement = plan(inputOf());
    const pool = (model: string) => ({ connector: 'openai', model: `org/${model}`, kind: 'chat' });
    const { files } = generate(placement, readInventory(cluster()), {
      base: { a: pool('a'), b: pool('b') },
      configOf: () => undefined,
      cpuKinds: new Set(['cpu']),
      weights: {},
      speculative: {},
      toolParsers: {},
      kubernetes: {
        images: { triton: 't', vllm: 'v', millrace: 'm' },
        gpuResource: 'nvidia.com/gpu',
        modelsClaim: 'models',
        temporal: 'temporal:7233',
        namespace: 'default',
        taskQueue: 'millrace',
      },
    });
    const commands = files.filter(({ path }) => path.startsWith('commands/')).map(({ text }) => text);
    expect(commands).toHaveLength(2);
    const seen = commands.map((text) => /CUDA_VISIBLE_DEVICES=(\S+)/.exec(text)?.[1]);
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]).toMatch(/^\d,\d$/);
    expect(new Set(commands.map((text) => /--port (\d+)/.exec(text)?.[1])).size).toBe(2);
    const shares = commands.map((text) => Number(/--gpu-memory-utilization (\S+)/.exec(text)?.[1]));
    expect((shares[0] ?? 1) + (shares[1] ?? 1)).toBeLessThanOrEqual(0.9);
  });
});
