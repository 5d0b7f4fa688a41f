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
import { plannerInput, profileFile } from './placement-files.js';

/** By kind, what a placement's devices can do at once. */
function atOnceOf(problem: Problem, candidate: Candidate): readonly number[] {
  const kinds = [...replicasByDevice(candidate).keys()].map((device) =>
    problem.kinds.indexOf(problem.devices[device]?.kind ?? ''),
  );
  return problem.kinds.map((_, k) => kinds.filter((kind) => kind === k).length);
}

describe('the bound', () => {
  it('excludes no placement that meets the objective, with bursts, batches, shared devices, skipped stages and rare pipelines', {
    timeout: 120_000,
  }, () => {
    let held = 0;
    let excluded = 0;
    for (let seed = 1; seed <= 40; seed += 1) {
      const problem = strainedInstance(seed);
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
    expect(held).toBeGreaterThan(200);
    expect(excluded).toBeGreaterThan(200);
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
});
