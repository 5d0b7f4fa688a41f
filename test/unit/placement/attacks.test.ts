import { describe, expect, it } from 'vitest';
import { makeLoad, makePlacement, whatIf } from '../../../placement/explain/index.js';
import { exhaust } from '../../../placement/planner/exhaust.js';
import {
  buildProblem,
  Judge,
  LowerBound,
  lossesOf,
  type PlannerInput,
  searchCheapest,
} from '../../../placement/planner/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { stageObjectives, withAssumptions } from '../../../placement/workload/index.js';
import { CLUSTER, llmProfile, plannerInput, profileFile } from './placement-files.js';
import { refusal } from './refusal.js';
import { fixed, pool, simulate, stage } from './simulated.js';

const SLOW = { timeout: 60_000 };
const load = (rate = 1, count = 600) => loadOf(arrivals({ count, rate, seed: 1 }));
const shape = (...stages: readonly object[]) => [JSON.stringify({ format: 1, name: 'voice', stages })];
const MIG = CLUSTER.replace(
  '{ kind: l4, count: 4, memory: 24GiB, pricePerHour: 0.70 }',
  '{ kind: l4, count: 3, memory: 48GiB, pricePerHour: 0.70, share: { mode: mig, parts: 2 } }',
);

function plan(input: PlannerInput, timeLimitMs = 300) {
  let looks = 0;
  return makePlacement(input, { objective: 'cost', timeLimitMs, clock: () => looks++ });
}

const withStages = (input: PlannerInput, ...slo: readonly string[]): PlannerInput => ({
  ...input,
  load: load(0.5),
  objective: { stages: stageObjectives(input.pipelines, slo) },
});

describe('an objective of a stage', SLOW, () => {
  it('counts only what comes before the stage as its least time, not what comes beside it', () => {
    const beside = ['b', 'c'].map((id) => ({ id, model: 'tts', after: ['a'] }));
    const input = plannerInput({ pipelines: shape({ id: 'a', model: 'whisper' }, ...beside) });
    // 20 ms and 30 ms on idle devices; with the other branch it would be 80.
    const { predicted } = plan(withStages(input, 'c.ttfa.p95=75ms'));
    expect(predicted.figures?.[0]?.ms).toBeLessThanOrEqual(75);
  });

  it('may be below the time of a call if a cache answers nearly all', () => {
    const input = plannerInput();
    const pipelines = withAssumptions(input.pipelines, ['hear.cacheHitRate=0.98', 'hear.cacheHitMs=2']);
    const { predicted } = plan(withStages({ ...input, pipelines }, 'hear.latency.p95=10ms'));
    expect(predicted.figures?.[0]?.ms).toBe(2);
  });

  it('is refused if no run has it: any placement would keep it', () => {
    const input = plannerInput();
    const never = { ...input, pipelines: withAssumptions(input.pipelines, ['speak.share=0']) };
    expect(refusal(() => plan(withStages(never, 'speak.latency.p99=100ms')))).toEqual({
      code: 'INVALID_INPUT',
      fields: [expect.stringMatching(/^--slo: voice\/speak latency p99: no run of the load has it/)],
    });
    const answers = plannerInput({
      pipelines: shape({ id: 'answer', model: 'assistant' }),
      profiles: [llmProfile('assistant', 'a100', 40, 8)],
    });
    const said = withStages(answers, 'answer.tpot.p99=9ms');
    const short = { ...said, load: { ...said.load, sizes: { tokens_out: said.load.timesMs.map(() => 1) } } };
    expect(refusal(() => plan(short)).fields[0]).toMatch(/answer tpot p99: no run of the load has it/);
    expect(plan(said).predicted.figures?.[0]?.ms).toBeGreaterThan(8);
  });

  it('about tokens is not kept by a profile that counts none', () => {
    const profiles = [llmProfile('assistant', 'a100', 40, 8), profileFile('assistant', 'l4', 900)];
    const input = plannerInput({ pipelines: shape({ id: 'answer', model: 'assistant' }), profiles });
    const placement = plan(withStages(input, 'answer.tpot.p99=9ms'));
    expect(placement.pools[0]?.batching).toBe('continuous');
    expect(placement.predicted.figures?.[0]?.ms).toBeGreaterThan(7);
  });

  it('has no infinite time', () => {
    const { pipelines } = plannerInput();
    expect(refusal(() => stageObjectives(pipelines, ['hear.latency.p99=1e400s'])).fields[0]).toMatch(/no time above 0/);
  });
});

describe('a load', SLOW, () => {
  it('of too few runs for its percentile is warned of', () => {
    const warnings = (count: number) => plan({ ...plannerInput(), load: load(1, count) }).warnings.join('\n');
    expect(warnings(10)).toMatch(/^whole runs: the load has about 10 such runs, and a 99th percentile of so few/);
    expect(warnings(100)).toBe('');
    const input = plannerInput();
    const rarely = { ...input, pipelines: withAssumptions(input.pipelines, ['speak.share=0.05']) };
    expect(plan(withStages(rarely, 'speak.latency.p99=100ms')).warnings).toEqual([
      expect.stringMatching(/^voice\/speak latency p99: the load has about 30 such runs/),
    ]);
  });

  it.each([
    ['none', loadOf(new Float64Array(0)), /no run arrives/],
    ['NaN', loadOf(Float64Array.of(0, Number.NaN, 1)), /not numbers in ascending order/],
    ['for ever', loadOf(Float64Array.of(0, 1, Number.POSITIVE_INFINITY)), /not numbers in ascending order/],
    ['backwards', loadOf(Float64Array.of(0, 2, 1)), /not numbers in ascending order/],
  ])('is refused: %s', (_, wrong, message) => {
    const { code, fields } = refusal(() => buildProblem({ ...plannerInput(), load: wrong }));
    expect(code).toBe('INVALID_INPUT');
    expect(fields[0]).toMatch(message);
  });

  it.each([0, 1e-7, 1e7, 1e308, Number.NaN])('is refused at %s runs a second', (rate) => {
    expect(refusal(() => makeLoad([{ rate, cv: 1 }], 400, 1)).fields[0]).toMatch(/give a rate from/);
  });

  it('whose runs fail more often than may be late is warned of', () => {
    const input = plannerInput();
    const pipelines = withAssumptions(input.pipelines, ['hear.failureRate=0.5', 'hear.attempts=1']);
    expect(plan({ ...input, pipelines, load: load() }).warnings).toEqual([
      expect.stringMatching(/^\d+\.\d % of the runs fail/),
    ]);
  });

  it('counts a run that never ends as late', () => {
    const { latencyMs } = simulate(
      [stage(0, [])],
      // Nothing serves its call.
      [pool(fixed(5), [], [0])],
      loadOf(Float64Array.of(0)),
    );
    expect([...latencyMs]).toEqual([Number.POSITIVE_INFINITY]);
  });
});

describe('a pool on several kinds', SLOW, () => {
  it('has replicas that batch alike', () => {
    const stages = [
      { id: 'answer', model: 'assistant' },
      { id: 'speak', model: 'tts', after: ['answer'], streamFrom: 'answer' },
    ];
    const profiles = [
      llmProfile('assistant', 'a100', 40, 8),
      profileFile('assistant', 'l4', 900),
      profileFile('tts', 'a100', 30),
      profileFile('tts', 'l4', 70),
    ];
    const input = plannerInput({ pipelines: shape(...stages), profiles, p99Ms: 4_000 });
    expect(plan({ ...input, load: load() }).pools[0]?.batching).toBe('dynamic');
    const { pools } = plan({ ...input, load: load(5) });
    expect(pools[0]?.batching).toBe('continuous');
    expect(pools[0]?.replicas.every(({ devices }) => devices[0]?.startsWith('gpu1'))).toBe(true);
    expect(refusal(() => plan({ ...input, load: load(24) })).code).toBe('PLACEMENT_INFEASIBLE');
  });

  it('states the batches that it was simulated with', () => {
    const latency = [1, 2, 4, 8].map((batch) => ({ batch, p50Ms: 10 * (1 + batch) }));
    const input = plannerInput({
      pipelines: shape({ id: 'hear', model: 'whisper' }),
      profiles: [profileFile('whisper', 'a100', 20, { latency }), profileFile('whisper', 'l4', 50)],
    });
    const of = { ...input, load: load(150, 3_000) };
    const placement = plan(of);
    const [{ maxBatch, replicas } = { maxBatch: 0, replicas: [] }] = placement.pools;
    expect(new Set(replicas.map(({ devices }) => devices[0]?.slice(0, 4))).size).toBe(2);
    // An l4 was measured up to four calls.
    expect(maxBatch).toBe(4);
    const problem = buildProblem(of);
    const again = candidateOf(problem, placement);
    expect(again && new Judge(problem).see(again).p99Ms).toBeCloseTo(placement.predicted.p99Ms, 2);
  });

  it('states how a replica is spread where it differs', () => {
    const input = plannerInput({
      pipelines: shape({ id: 'hear', model: 'whisper' }),
      profiles: [profileFile('whisper', 'a100', 20), profileFile('whisper', 'l4', 20, { parallel: { tensor: 2 } })],
    });
    const [hear] = plan({ ...input, load: load(240, 3_000) }).pools;
    const spread = hear?.replicas.map(({ devices, parallel }) => [devices.length, (parallel ?? hear.parallel).tensor]);
    expect(spread?.map(([devices]) => devices).sort()).toEqual([1, 1, 2, 2]);
    for (const [devices, tensor] of spread ?? []) expect(tensor).toBe(devices);
  });
});

describe('a GPU with MIG parts', () => {
  const input = plannerInput({
    cluster: MIG,
    profiles: plannerInput().profiles.map(({ value }, i) => ({
      file: `${i}.json`,
      text: JSON.stringify({ ...value, deviceKind: value.deviceKind === 'l4' ? 'l4:mig2' : 'a100' }),
    })),
  });

  it('can be asked about as a whole', () => {
    const { inventory } = whatIf(input, 'without gpu2/0');
    expect(inventory.devices.map(({ id }) => id)).toEqual(['gpu1/0', 'gpu1/1', ...parts('gpu2/1'), ...parts('gpu2/2')]);
  });

  it('takes every replica that spans one of its parts, of losses that look alike too', () => {
    const problem = buildProblem(input);
    const at = (id: string) => problem.devices.findIndex((device) => device.id === id);
    const on = (...ids: readonly string[]) => ({ pool: 0, devices: ids.map(at) });
    // gpu2/2 has one replica on both parts, gpu2/0 and gpu2/1 share two of them.
    const replicas = [
      on('gpu2/2.0', 'gpu2/2.1'),
      on('gpu2/0.0', 'gpu2/1.0'),
      on('gpu2/0.1', 'gpu2/1.1'),
      { pool: 1, devices: [at('gpu1/0')] },
    ];
    const left = lossesOf(problem, { configs: [0, 0], replicas }, 'device').map(({ rest }) => rest.replicas.length);
    expect(left).toEqual([3, 2, 3]);
  });
});

const parts = (gpu: string) => [`${gpu}.0`, `${gpu}.1`];

describe('an exhaustive search', SLOW, () => {
  it('claims nothing where it did not try all numbers of replicas on a device', () => {
    const cluster = `format: 1\nnodes:\n  - name: n1\n    devices:\n      - { kind: l4, count: 3, memory: 24GiB, pricePerHour: 1, concurrency: 4 }\n`;
    const latency = [{ batch: 1, p50Ms: 50 }];
    const input = plannerInput({
      cluster,
      pipelines: shape({ id: 'hear', model: 'whisper' }),
      profiles: [profileFile('whisper', 'l4', 50, { memory: { weights: '10GiB' }, latency })],
    });
    // Two replicas fit a device, four do not: those of an exhaustive search are one or four.
    const problem = buildProblem({ ...input, load: load(50, 2_000) });
    let looks = 0;
    const found = searchCheapest(problem, { timeLimitMs: 300, clock: () => looks++ });
    expect(found?.value).toBe(2);
    // By time alone one device would carry the load, with four replicas.
    const { refutedBelow, complete } = exhaust(problem, new Judge(problem), new LowerBound(problem), 2, () => true);
    expect([refutedBelow, complete]).toEqual([1, false]);
  });
});
