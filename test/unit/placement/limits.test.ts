import { describe, expect, it } from 'vitest';
import { makePlacement } from '../../../placement/explain/index.js';
import { Cuts } from '../../../placement/planner/cuts.js';
import { exhaust } from '../../../placement/planner/exhaust.js';
import { buildProblem, Judge, LowerBound } from '../../../placement/planner/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { replan, TOLERANCE } from '../../../placement/replan/index.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { withAssumptions } from '../../../placement/workload/index.js';
import { leastCpuMs } from '../../support/cpu-time.js';
import { PROFILES, plannerInput, profileFile } from './placement-files.js';
import { refusal } from './refusal.js';

const load = (count: number) => loadOf(arrivals({ count, rate: 1, seed: 1 }));

describe('a load to simulate', () => {
  it('has at most ten million calls: more are refused with the option before memory is taken for them', () => {
    const input = plannerInput();
    const calls = (n: number) => ({
      ...input,
      load: load(2_000),
      pipelines: withAssumptions(input.pipelines, [`hear.calls=${n}`]),
      objective: { p99Ms: 1e9 },
    });
    expect(refusal(() => buildProblem(calls(10_000)))).toEqual({
      code: 'INVALID_INPUT',
      fields: [expect.stringMatching(/^--assume: 2000 runs .*10000 calls of voice\/hear.*--assume voice:hear\.calls=/)],
    });
    expect(buildProblem(calls(4_999)).stages[0]?.calls).toBe(4_999);
  });
});

describe('a search on thousands of devices', () => {
  it('does not first put a copy of every model on each of them', { timeout: 20_000 }, () => {
    const cluster =
      'format: 1\nnodes:\n  - name: n1\n    devices:\n' +
      '      - { kind: l4, count: 1000, memory: 80GiB, pricePerHour: 1 }\n'.repeat(4);
    const names = Array.from({ length: 5 }, (_, i) => `m${i}`);
    const stages = names.map((id, i) => ({ id, model: id, after: i > 0 ? [names[i - 1]] : [] }));
    const input = plannerInput({
      cluster,
      pipelines: [JSON.stringify({ format: 1, name: 'voice', stages })],
      profiles: names.map((name) => profileFile(name, 'l4', 5, { memory: { weights: '1GiB' } })),
    });
    let looks = 0;
    const placement = makePlacement(
      { ...input, load: load(500) },
      { objective: 'cost', timeLimitMs: 100, clock: () => looks++ },
    );
    expect(placement.costPerHour).toBe(1);
  });
});

describe('the bound of a chain of hundreds of stages', () => {
  it('counts the runs that do not fail once for each stage, not for each way to serve it', { timeout: 60_000 }, () => {
    const ids = Array.from({ length: 200 }, (_, i) => `s${i}`);
    const stages = ids.map((id, i) => ({ id, model: id, failureRate: 0.01, after: i > 0 ? [ids[i - 1]] : [] }));
    const input = plannerInput({
      pipelines: [JSON.stringify({ format: 1, name: 'voice', stages })],
      profiles: ids.flatMap((id) => [profileFile(id, 'a100', 5), profileFile(id, 'l4', 5)]),
      p99Ms: 1e6,
    });
    expect(leastCpuMs(2_000, () => buildProblem({ ...input, load: load(50) }))).toBeLessThan(2_000);
  });

  it('looks at its short stretches only: all of them are as many as their square', () => {
    const ids = Array.from({ length: 100 }, (_, i) => `s${i}`);
    const stages = ids.map((id, i) => ({ id, model: 'whisper', after: i > 0 ? [ids[i - 1]] : [] }));
    const input = plannerInput({ pipelines: [JSON.stringify({ format: 1, name: 'voice', stages })], p99Ms: 1e6 });
    const stretches = new Cuts(buildProblem({ ...input, load: load(50) }), new Set([0, 1])).stretches();
    expect(stretches.length).toBeGreaterThanOrEqual(100);
    expect(stretches.length).toBeLessThanOrEqual(2_000);
  });
});

describe('an earlier placement', () => {
  it('is none of a cluster where the profile of a device that it uses is gone', () => {
    const options = () => {
      let looks = 0;
      return { objective: 'cost' as const, timeLimitMs: 300, clock: () => looks++ };
    };
    const placement = makePlacement(plannerInput(), options());
    const kinds = new Set(placement.pools.flatMap(({ replicas }) => replicas.map(({ devices }) => devices[0])));
    const used = [...kinds].some((id) => id?.startsWith('gpu2/')) ? 'l4' : 'a100';
    const gone = PROFILES.filter(({ file }) => file !== `tts-${used}.json` && file !== `whisper-${used}.json`);
    const input = plannerInput({ profiles: gone });
    expect(candidateOf(buildProblem(input), placement)).toBeUndefined();
    const measured = {
      windowMs: 1e6,
      started: { voice: 5_000 },
      completed: 5_000,
      failed: 0,
      budgets: [],
      stages: {},
      services: {},
    };
    const runs = { count: 5_000, p50Ms: placement.predicted.p50Ms, p95Ms: placement.predicted.p95Ms };
    const found = replan(
      { placement, measured: { ...measured, runs, lost: [] }, input, tolerance: TOLERANCE },
      options(),
    );
    expect(found.expected).toBeNull();
  });
});

describe('an exhaustive search', () => {
  it('looks at the clock while it lists batch sizes and passes over assignments', () => {
    const names = Array.from({ length: 12 }, (_, i) => `m${i}`);
    const latency = [1, 2, 4, 8, 16, 32].map((batch) => ({ batch, p50Ms: 5 + batch / 2 }));
    const input = plannerInput({
      cluster:
        'format: 1\nnodes:\n  - name: n1\n    devices:\n      - { kind: l4, count: 2, memory: 80GiB, pricePerHour: 1 }\n',
      pipelines: [
        JSON.stringify({
          format: 1,
          name: 'voice',
          stages: names.map((id, i) => ({ id, model: id, after: i > 0 ? [names[i - 1]] : [] })),
        }),
      ],
      profiles: names.map((name) => profileFile(name, 'l4', 5, { memory: { weights: '1GiB' }, latency })),
    });
    const problem = buildProblem({ ...input, load: load(300) });
    let looks = 0;
    const goOn = () => looks++ < 50;
    expect(exhaust(problem, new Judge(problem), new LowerBound(problem), 1.5, goOn).complete).toBe(false);
  });
});
