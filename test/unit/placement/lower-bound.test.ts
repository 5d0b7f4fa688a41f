import { describe, expect, it } from 'vitest';
import { enumerated } from '../../../bench/planner/enumerate.js';
import { strainedInstance } from '../../../bench/planner/instances.js';
import {
  buildProblem,
  type Candidate,
  Judge,
  LowerBound,
  type Problem,
  replicasByDevice,
} from '../../../placement/planner/index.js';
import { loadOf } from '../../../placement/simulator/index.js';
import { plannerInput, profileFile } from './placement-files.js';

/** By kind, what a placement's devices can do at once. */
function atOnceOf(problem: Problem, candidate: Candidate): readonly number[] {
  const kinds = [...replicasByDevice(candidate).keys()].map((device) =>
    problem.kinds.indexOf(problem.devices[device]?.kind ?? ''),
  );
  return problem.kinds.map((_, k) => kinds.filter((kind) => kind === k).length);
}

/** Placements of strained instances that meet the objective, and those that the bound excludes: never the same one. */
function strained(seeds: number, figures: Parameters<typeof strainedInstance>[1] = {}) {
  let held = 0;
  let excluded = 0;
  for (let seed = 1; seed <= seeds; seed += 1) {
    const problem = strainedInstance(seed, figures);
    const judge = new Judge(problem);
    const lower = new LowerBound(problem);
    lower.tighten(() => true, Number.POSITIVE_INFINITY);
    let tried = 0;
    for (const { candidate, cost } of enumerated(problem)) {
      const isOut = lower.refutes(atOnceOf(problem, candidate), () => true) || lower.excludes(candidate.replicas);
      if (isOut) excluded += 1;
      // Those that are excluded are all judged: of the others some tell that the instance can be served.
      if (!isOut && tried > 200) continue;
      tried += 1;
      if (!judge.holds(candidate)) continue;
      held += 1;
      expect(isOut, `seed ${seed}: ${JSON.stringify(candidate)}`).toBe(false);
      expect(lower.value, `seed ${seed}`).toBeLessThanOrEqual(cost + 1e-9);
    }
  }
  return { held, excluded };
}

describe('the bound', () => {
  it('excludes no placement that meets the objective, with bursts, batches, shared devices, skipped stages and rare pipelines', {
    timeout: 120_000,
  }, () => {
    const { held, excluded } = strained(40);
    expect(held).toBeGreaterThan(200);
    expect(excluded).toBeGreaterThan(200);
  });

  it('excludes none of those where runs fail and are in no percentile', { timeout: 120_000 }, () => {
    expect(strained(12, { failureRate: 0.2, attempts: 1 }).held).toBeGreaterThan(0);
    expect(strained(24, { failureRate: 0.1, attempts: 2, backoffMs: 1 }).held).toBeGreaterThan(0);
  });

  it('counts a run that fails neither as one that is in time nor as one of the stages behind', () => {
    const hear = { id: 'hear', model: 'whisper', failureRate: 0.5, attempts: 1 };
    const stages = [hear, { id: 'speak', model: 'tts', after: ['hear'] }];
    const alone = (model: string, p50Ms: number) => profileFile(model, 'l4', p50Ms, { latency: [{ batch: 1, p50Ms }] });
    const input = plannerInput({
      pipelines: [JSON.stringify({ format: 1, name: 'voice', stages })],
      profiles: [alone('whisper', 1), alone('tts', 100)],
      p99Ms: 500,
    });
    // Half of the runs need 100 ms; all of them would need more than one device has.
    const problem = buildProblem({ ...input, load: loadOf(Float64Array.from({ length: 400 }, (_, i) => 80 * i)) });
    const device = problem.devices.findIndex(({ kind }) => kind === 'l4');
    const replicas = [0, 1].map((pool) => ({ pool, devices: [device] }));
    const candidate = { configs: [0, 0], replicas };
    expect(new Judge(problem).holds(candidate)).toBe(true);
    const lower = new LowerBound(problem);
    lower.tighten(() => true, Number.POSITIVE_INFINITY);
    expect(lower.refutes(atOnceOf(problem, candidate), () => true) || lower.excludes(replicas)).toBe(false);
    expect(lower.value).toBeLessThanOrEqual(0.7 + 1e-9);
  });

  it('leaves runs that skip a stage the time of its overhead', () => {
    const hear = { id: 'hear', model: 'whisper', share: 0.005, overheadMs: 50 };
    const stages = [hear, { id: 'speak', model: 'tts', after: ['hear'] }];
    const problem = buildProblem(
      plannerInput({
        pipelines: [JSON.stringify({ format: 1, name: 'voice', stages })],
        profiles: [profileFile('whisper', 'l4', 10), profileFile('tts', 'l4', 60)],
        rate: 0.1,
        p99Ms: 100,
      }),
    );
    const both = [0, 1].map((pool) => ({ pool, devices: [problem.devices.findIndex(({ kind }) => kind === 'l4')] }));
    const candidate = { configs: [0, 0], replicas: both };
    expect(new Judge(problem).holds(candidate)).toBe(true);
    const lower = new LowerBound(problem);
    lower.tighten(() => true, Number.POSITIVE_INFINITY);
    expect(lower.refutes(atOnceOf(problem, candidate), () => true) || lower.excludes(both)).toBe(false);
    expect(lower.value).toBeLessThanOrEqual(0.7 + 1e-9);
  });

  it('counts the calls of all stages of a pool as members of a batch', () => {
    const flat = profileFile('shared', 'l4', 100, {
      latency: [1, 2, 4, 8, 16].map((batch) => ({ batch, p50Ms: 100, p95Ms: 100, p99Ms: 100 })),
    });
    const pipeline = (name: string, stages: readonly object[]) => JSON.stringify({ format: 1, name, stages });
    const one = [{ id: 'a', model: 'shared' }];
    const two = [...one, { id: 'b', model: 'shared', after: ['a'] }];
    for (const [pipelines, rate, p99Ms] of [
      [[pipeline('x', one), pipeline('y', one), pipeline('z', one)], 20, 210],
      [[pipeline('x', two)], 40, 330],
    ] as const) {
      const problem = buildProblem(plannerInput({ pipelines, profiles: [flat], rate, p99Ms }));
      const device = problem.devices.findIndex(({ kind }) => kind === 'l4');
      const replicas = [{ pool: 0, devices: [device] }];
      const configs = [(problem.pools[0]?.configs.length ?? 1) - 1];
      expect(new Judge(problem).holds({ configs, replicas })).toBe(true);
      const lower = new LowerBound(problem);
      lower.tighten(() => true, Number.POSITIVE_INFINITY);
      expect(lower.value).toBeLessThanOrEqual(0.7 + 1e-9);
      expect(lower.excludes(replicas)).toBe(false);
    }
  });
});
