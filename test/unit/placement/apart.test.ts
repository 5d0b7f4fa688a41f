import { describe, expect, it } from 'vitest';
import { calledPools, readPlacement, variantsApart } from '../../../placement/document/index.js';
import { explanation, makePlacement, type Serving } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import {
  balance,
  buildProblem,
  isPossible,
  Judge,
  LowerBound,
  type PlannerInput,
  type Problem,
} from '../../../placement/planner/index.js';
import { readProfile, readProfiles } from '../../../placement/profiles/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { arrivals, type Load, loadOf, tableOf } from '../../../placement/simulator/index.js';
import { readPipelineShape, stageObjectives } from '../../../placement/workload/index.js';
import { refusal } from './refusal.js';
import { pool, simulate, stage } from './simulated.js';

const SLOW = { timeout: 120_000 };

const row = (p50Ms: number) => ({ p50Ms, p95Ms: p50Ms, p99Ms: p50Ms });
/** An LLM whose prompts take a tenth of a millisecond a token, and whose steps 10 ms and little more for each sequence. */
const llm = (more: Readonly<Record<string, unknown>> = {}) => ({
  format: 1,
  model: 'assistant',
  variant: 'bf16',
  deviceKind: 'gpu',
  batching: 'continuous',
  memory: { weights: '16GiB', perToken: '128KiB' },
  size: { in: 'tokens_in', out: 'tokens_out' },
  prefill: [100, 1_000, 8_000].map((tokens) => ({ tokens, ...row(tokens / 10) })),
  decode: [1, 32].flatMap((batch) => [200, 8_000].map((tokens) => ({ batch, tokens, ...row(10 + batch / 10) }))),
  ...more,
});
const cluster = (count = 4) => `format: 1
nodes:
  - name: n
    devices: [{ kind: gpu, count: ${count}, memory: 80GiB, pricePerHour: 2 }]
`;

const LONG = { rate: 6, tokensIn: 4_000, tokensOut: 60, inventory: cluster(16) };
const SHORT = { rate: 2, tokensIn: 150, tokensOut: 120 };

interface Of {
  readonly rate: number;
  readonly tokensIn: number;
  readonly tokensOut: number;
  readonly slo: readonly string[];
  readonly p99Ms?: number;
  readonly inventory?: string;
  readonly profiles?: readonly object[];
}

function inputOf({
  rate,
  tokensIn,
  tokensOut,
  slo,
  p99Ms,
  inventory = cluster(),
  profiles = [llm()],
}: Of): PlannerInput {
  const shape = { format: 1, name: 'talk', stages: [{ id: 'answer', model: 'assistant' }] };
  const pipelines = [readPipelineShape(JSON.stringify(shape), 'p.json')];
  const timesMs = arrivals({ count: 800, rate, seed: 1 });
  const sizes = { tokens_in: timesMs.map(() => tokensIn), tokens_out: timesMs.map(() => tokensOut) };
  return {
    pipelines,
    inventory: readInventory(inventory),
    profiles: readProfiles(profiles.map((each, i) => ({ file: `${i}.json`, text: JSON.stringify(each) }))),
    load: loadOf(timesMs, sizes),
    objective: { stages: stageObjectives(pipelines, slo), ...(p99Ms !== undefined && { p99Ms }) },
  };
}

function plan(input: PlannerInput, serve: Serving = 'either') {
  let ticks = 0;
  return makePlacement(input, {
    objective: 'cost',
    timeLimitMs: 600,
    clock: () => ticks++,
    serve: { assistant: serve },
  });
}
const table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((each) => each.join('  ')).join('\n');
const devicesOf = ({ pools }: ReturnType<typeof plan>, model: string) =>
  pools.find((each) => each.model === model)?.replicas.flatMap(({ devices }) => devices) ?? [];

/** A prompt of 4,000 tokens takes 400 ms: of 60 tokens beside it each takes 7 ms more than the 10 ms of a step. */
const TIGHT = ['answer.tpot.p99=14ms', 'answer.ttft.p99=4s'];

describe('an LLM whose prompts and answers have pools of their own', () => {
  it(
    'is chosen for long prompts and a tight time of each token, and says why and what the transfer costs',
    SLOW,
    () => {
      const placement = plan(inputOf({ ...LONG, slo: TIGHT }));
      expect(placement.pools.map(({ model, apart }) => [model, apart])).toEqual([
        ['assistant', { part: 'decode', with: 'assistant.prefill' }],
        ['assistant.prefill', { part: 'prefill', with: 'assistant' }],
      ]);
      const [answers, prompts] = [devicesOf(placement, 'assistant'), devicesOf(placement, 'assistant.prefill')];
      expect(answers.filter((device) => prompts.includes(device))).toEqual([]);
      expect(placement.costPerHour).toBe(2 * new Set([...answers, ...prompts]).size);
      expect(placement.bound).toBeLessThanOrEqual(placement.costPerHour);
      // Each replica has the weights.
      for (const device of [...answers, ...prompts])
        expect(placement.predicted.devices[device]?.memoryBytes).toBeGreaterThan(16 * 2 ** 30);
      const { handover } = placement.predicted.stages['talk/answer'] ?? {};
      // 4,000 tokens of 128 KiB at 12 GB/s, and the latency.
      expect(handover?.transferMs).toBeGreaterThan((4_000 * 128 * 1_024) / 12e6);
      expect(handover?.prefillMs).toBeGreaterThanOrEqual(400);
      const text = explanation(placement, readInventory(LONG.inventory), table);
      expect(text).toContain('the cache of one, 500 MiB on average, takes 44 ms to assistant');
      expect(text).toMatch(/Apart: talk\/answer takes \d+ ms for the prompt/);
      expect(text).toMatch(
        /apart, because (no placement together was found|the cheapest placement found together costs)/,
      );
      expect(readPlacement(JSON.stringify(placement))).toEqual(placement);
      expect(variantsApart(placement)).toEqual({ assistant: 'bf16' });
      expect(calledPools(placement).map(({ model }) => model)).toEqual(['assistant']);
    },
  );

  it('is not chosen where one replica does both, and says so', SLOW, () => {
    const placement = plan(inputOf({ ...SHORT, slo: ['answer.tpot.p99=40ms'] }));
    expect(placement.pools.map(({ model, apart }) => [model, apart])).toEqual([['assistant', undefined]]);
    expect(placement.pools[0]?.reason).toMatch(
      /together, because (apart it costs at least|the cheapest placement found apart)/,
    );
    expect(placement).toEqual({
      ...plan(inputOf({ ...SHORT, slo: ['answer.tpot.p99=40ms'] }), 'together'),
      pools: placement.pools,
      degraded: placement.degraded,
      next: placement.next,
      robustness: placement.robustness,
      optimal: placement.optimal,
      warnings: placement.warnings,
    });
  });

  const on = ({ pools }: Problem, answers: readonly number[], prompts: readonly number[]) => ({
    configs: [(pools[0]?.configs.length ?? 1) - 1, 0],
    replicas: [
      ...answers.map((device) => ({ pool: 0, devices: [device] })),
      ...prompts.map((device) => ({ pool: 1, devices: [device] })),
    ],
  });
  const problemOf = (of: Of) => buildProblem({ ...inputOf(of), apart: { assistant: 'bf16' } });

  it('keeps its bound below every placement, and its parts on different devices', SLOW, () => {
    const problem = problemOf({ ...LONG, slo: [], p99Ms: 6_000 });
    expect(problem.pools.map(({ model, handsTo }) => [model, handsTo?.pool])).toEqual([
      ['assistant', undefined],
      ['assistant.prefill', 0],
    ]);
    const judge = new Judge(problem);
    expect(isPossible(problem, on(problem, [0], [0, 1, 2, 3]))).toBe(false);
    expect(judge.holds(on(problem, [0], [1, 2, 3, 4]))).toBe(true);
    expect(judge.holds(on(problem, [0], [1, 2]))).toBe(false);
    const lower = new LowerBound(problem);
    let looks = 0;
    lower.tighten(() => looks++ < 100, 10);
    // The prompts alone keep 2.4 devices busy.
    expect(lower.value).toBeGreaterThanOrEqual(6 - 1e-6);
    expect(lower.value).toBeLessThanOrEqual(10);
  });

  it('costs as little as any placement on a few devices', SLOW, () => {
    for (const of of [
      { ...LONG, rate: 3, inventory: cluster(5), slo: TIGHT },
      { ...LONG, rate: 2, tokensIn: 2_000, tokensOut: 400, inventory: cluster(5), slo: [], p99Ms: 7_000 },
    ]) {
      const problem = problemOf(of);
      const judge = new Judge(problem);
      let least = Number.POSITIVE_INFINITY;
      for (let answers = 1; answers <= 4; answers += 1) {
        for (let prompts = 1; answers + prompts <= 5; prompts += 1) {
          for (const config of problem.pools[0]?.configs.keys() ?? []) {
            const devices = [0, 1, 2, 3, 4];
            const made = on(problem, devices.slice(0, answers), devices.slice(answers, answers + prompts));
            if (judge.holds({ ...made, configs: [config, 0] })) least = Math.min(least, 2 * (answers + prompts));
          }
        }
      }
      const placement = plan(inputOf(of), 'apart');
      expect(placement.costPerHour).toBe(least);
      expect(placement.bound).toBeLessThanOrEqual(least + 1e-9);
    }
  });

  it('is refused over a network that its caches keep busy', () => {
    const nodes = [0, 1, 2, 3, 4].map(
      (i) => `  - { name: n${i}, devices: [{ kind: gpu, memory: 80GiB, pricePerHour: 2 }] }`,
    );
    const over = (bandwidth: string) => {
      const links = `  - { name: net, type: network, joins: [n0, n1, n2, n3, n4], bandwidth: ${bandwidth}, latency: 1ms }`;
      const inventory = `format: 1\nnodes:\n${nodes.join('\n')}\nlinks:\n${links}\n`;
      const problem = problemOf({ ...LONG, slo: [], p99Ms: 60_000, inventory });
      const candidate = on(problem, [0], [1, 2, 3, 4]);
      return { peak: balance(problem, candidate).peak, holds: new Judge(problem).holds(candidate) };
    };
    // 500 MiB for six runs a second: 42 ms each over 100 Gbit/s and 0.42 s over 10, one at a time to the only receiver.
    expect(over('100Gbit/s')).toMatchObject({ holds: true });
    const slow = over('10Gbit/s');
    expect(slow.holds).toBe(false);
    expect(slow.peak).toBeCloseTo(6 * 0.4204, 0);
  });

  it('is found again by replan, whatever the load’s prompts are', SLOW, () => {
    const placement = plan(inputOf({ ...LONG, slo: TIGHT }), 'apart');
    const changed = { ...inputOf({ ...LONG, tokensIn: 700, slo: TIGHT }), apart: variantsApart(placement) };
    const candidate = candidateOf(buildProblem(changed), placement);
    expect(candidate?.replicas.length).toBe(placement.pools.flatMap(({ replicas }) => replicas).length);
  });

  it('needs a variant with tokens, and the size of a token', () => {
    const refuse = (profile: object, serve: Serving = 'apart') =>
      refusal(() => plan(inputOf({ ...SHORT, slo: [], p99Ms: 9_000, profiles: [profile] }), serve));
    expect(refuse(llm({ memory: { weights: '16GiB' } }))).toEqual({
      code: 'INVALID_PROFILE',
      fields: [expect.stringMatching(/give memory\.perToken, the size of a token in the key-value cache/)],
    });
    const { prefill: _, decode: __, size: ___, ...others } = llm();
    const batches = {
      ...others,
      batching: 'dynamic',
      memory: { weights: '1GiB' },
      latency: [{ batch: 1, ...row(50) }],
    };
    expect(refuse(batches).fields).toEqual([expect.stringMatching(/only a profile with tokens/)]);
    // Where the planner may choose, what cannot be apart is together.
    const reasonWith = (profile: object) =>
      plan(inputOf({ ...SHORT, slo: [], p99Ms: 9_000, profiles: [profile] })).pools[0]?.reason;
    expect(reasonWith(batches)).toMatch(
      /together, because it cannot be served apart: .*only a profile with tokens \(batching "continuous"\)/,
    );
    expect(reasonWith(llm({ memory: { weights: '16GiB' } }))).toMatch(
      /together, because it cannot be served apart: .*give memory\.perToken/,
    );
    const named = () => {
      const input = inputOf({ ...SHORT, slo: [], p99Ms: 9_000 });
      return makePlacement(input, { objective: 'cost', timeLimitMs: 1, clock: () => 0, serve: { asistant: 'apart' } });
    };
    expect(refusal(named).fields).toEqual([
      expect.stringMatching(/no stage uses a model "asistant" \(did you mean "assistant"/),
    ]);
  });
});

describe('the simulator of prompts and answers on different replicas', () => {
  const TABLE = tableOf(readProfile(JSON.stringify(llm()), 'p.json').value);
  const load = (tokensIn: readonly number[], tokensOut: number, everyMs = 100_000) =>
    loadOf(
      Float64Array.from(tokensIn, (_, i) => i * everyMs),
      { tokens_in: Float64Array.from(tokensIn), tokens_out: Float64Array.from(tokensIn, () => tokensOut) },
    );
  const run = (of: Load, more: { mostTokens?: number; bytesPerMs?: number } = {}) => {
    const { mostTokens = Number.POSITIVE_INFINITY, bytesPerMs = 1e6 } = more;
    const answers = pool(TABLE, [0], [0], { maxBatch: 32 });
    const prompts = pool(TABLE, [1], [0], { maxBatch: 4, handsTo: { pool: 0, tokenBytes: 1e4 } });
    const limited = { ...prompts, replicas: prompts.replicas.map((replica) => ({ ...replica, mostTokens })) };
    return simulate([stage(0, [])], [answers, limited], of, {
      transferMs: (_, __, bytes) => (bytes > 0 ? 5 + bytes / bytesPerMs : 0),
      observed: [
        { stage: 0, metric: 'first' },
        { stage: 0, metric: 'token' },
      ],
    });
  };

  it('takes the prompt, the transfer, and a step for each token', () => {
    // 1,000 tokens: 100 ms; 5 ms and 10 ms for 10 MB; 10.1 ms a step.
    const { latencyMs, observed, handovers } = run(load([1_000], 11));
    expect(latencyMs[0]).toBeCloseTo(100 + 15 + 11 * 10.1, 3);
    expect(observed[0]?.[0]).toBeCloseTo(100 + 15 + 10.1, 3);
    expect(observed[1]?.[0]).toBeCloseTo(10.1, 3);
    expect(handovers?.[0]).toMatchObject({ prefillMs: 100, waitMs: 0, transferMs: 15, batch: 1 });
    // An answer of one token has a first one, too.
    const { latencyMs: one, observed: first } = run(load([1_000], 1));
    expect(one[0]).toBeCloseTo(125.1, 3);
    expect(first[0]?.[0]).toBeCloseTo(125.1, 3);
  });

  it('processes prompts of a step together, and moves one cache at a time', () => {
    // 2,048 tokens a step: two prompts end together after 200 ms; the second cache waits for the first.
    const { latencyMs } = run(load([1_000, 1_000, 1_000], 1, 0));
    expect(Array.from(latencyMs, Math.round)).toEqual([
      // The first prompt finds an idle replica, and is alone.
      125, 325, 340,
    ]);
  });

  it('moves a cache to the replica that it reaches first, by the bytes of the cache', () => {
    const answers = pool(TABLE, [0, 2], [0], { maxBatch: 32 });
    const prompts = pool(TABLE, [1], [0], { maxBatch: 4, handsTo: { pool: 0, tokenBytes: 1e4 } });
    // 10 MB: a second to the first replica in spite of its low latency, and 11 ms to the other.
    const transferMs = (_: number, to: number, bytes: number) => (to === 0 ? 0.1 + bytes / 1e4 : 1 + bytes / 1e6);
    const { handovers } = simulate([stage(0, [])], [answers, prompts], load([1_000], 11), { transferMs });
    expect(handovers?.[0]?.transferMs).toBeCloseTo(11, 3);
  });

  it('keeps a cache in the memory of the first replica until it has been pulled', () => {
    // 1 s for a cache, and memory for one: the second prompt begins when the first has gone.
    const { latencyMs } = run(load([1_000, 1_000], 1, 0), { mostTokens: 1_500, bytesPerMs: 1e4 });
    expect(latencyMs[0]).toBeCloseTo(100 + 1_005 + 10.1, 2);
    expect(latencyMs[1]).toBeCloseTo(100 + 1_005 + 100 + 1_005 + 10.1, 2);
  });

  it('never ends a run whose prompt fits no replica', () => {
    const { oversized, completed } = run(load([1_000, 2_000], 5), { mostTokens: 1_500 });
    expect([oversized, completed]).toEqual([1, 1]);
    // The replica is processing the first prompt when the second comes.
    const busy = run(load([1_000, 2_000], 5, 50), { mostTokens: 1_500 });
    expect([busy.oversized, busy.completed]).toEqual([1, 1]);
    expect(busy.latencyMs[0]).toBeCloseTo(100 + 15 + 5 * 10.1, 3);
  });
});
