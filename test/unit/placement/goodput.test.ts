import { describe, expect, it } from 'vitest';
import { readPlacement } from '../../../placement/document/index.js';
import { explanation, makePlacement, placementText } from '../../../placement/explain/index.js';
import { attainmentOf } from '../../../placement/planner/attainment.js';
import {
  buildProblem,
  type Candidate,
  Judge,
  type Objective,
  type PlannerInput,
} from '../../../placement/planner/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { objectiveOf } from '../../../placement/replan/index.js';
import { arrivals, loadOf, type SimulationResult } from '../../../placement/simulator/index.js';
import { stageObjectives } from '../../../placement/workload/index.js';
import { plannerInput } from './placement-files.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };
const table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((row) => row.join('  ')).join('\n');

/** A second between arrivals; latencies and one figure of a stage, by run. */
function attained(
  objective: Objective,
  latencyMs: readonly number[],
  figures: readonly (readonly [ms: number, values: readonly number[]])[] = [],
  speed = 1,
) {
  const targets = figures.map(([ms], i) => ({
    ...{ stage: `p/s${i}`, metric: 'latency' as const, share: 0.95, ms },
    observed: { stage: i, metric: 'whole' as const },
  }));
  const load = loadOf(Float64Array.from(latencyMs, (_, i) => 5_000 + 1_000 * i));
  const result = {
    latencyMs: Float64Array.from(latencyMs),
    observed: figures.map(([, all]) => Float64Array.from(all)),
  };
  return attainmentOf({ objective, targets, load }, result as unknown as SimulationResult, speed);
}

describe('attainment', () => {
  it('is the share of the runs that meet every objective', () => {
    const late = [50, 200, 50, 50];
    expect(attained({ p99Ms: 100 }, late)).toMatchObject({ share: 0.75, runs: 3 });
    const one: [number, number[]] = [10, [5, 5, 15, 5]];
    const other: [number, number[]] = [10, [5, 5, 5, 10.1]];
    expect(attained({ p99Ms: 100 }, late, [one, other])).toMatchObject({ share: 0.25, runs: 1 });
  });

  it('counts a run without a figure, one that never ends as late, and none that failed', () => {
    const { NaN: none, POSITIVE_INFINITY: never } = Number;
    const figure: [number, number[]] = [10, [none, 5, 5, none]];
    expect(attained({ p99Ms: 100 }, [50, never, none, 50], [figure])).toMatchObject({ share: 2 / 3, runs: 2 });
    expect(attained({}, [50, never])).toMatchObject({ share: 0.5 });
    expect(attained({}, [none, none])).toMatchObject({ share: 1, runs: 0 });
  });

  it('takes the later of two times of one figure', () => {
    expect(attained({ p95Ms: 60, p99Ms: 100 }, [80])).toMatchObject({ share: 1 });
    const stages: Objective = {};
    const twice: [number, number[]][] = [
      [10, [15]],
      [20, [15]],
    ];
    // Two stages are two figures.
    expect(attained(stages, [80], twice)).toMatchObject({ share: 0 });
  });

  it('uses up a demand by the run at its share', () => {
    const spread = Array.from({ length: 100 }, (_, i) => i + 1);
    expect(attained({ p99Ms: 100, goodput: 0.9 }, spread).used).toBeCloseTo(0.9);
    expect(attained({ p99Ms: 60, goodput: 0.9 }, spread).used).toBeCloseTo(1.5);
    expect(attained({ p99Ms: 60 }, spread).used).toBe(0);
  });

  describe('by minute', () => {
    /** Five minutes, the fourth with every other run late. */
    const busy = Array.from({ length: 300 }, (_, i) => (i >= 180 && i < 240 && i % 2 === 0 ? 200 : 50));

    it('names the worst, and uses up its own demand', () => {
      const all = attained({ p99Ms: 100, goodput: 0.9 }, busy);
      expect(all).toMatchObject({ share: 0.9, worstMinute: { fromS: 180, arrivedPerSecond: 1, share: 0.5 } });
      expect(all.used).toBe(0.5);
      expect(attained({ p99Ms: 100, worstMinute: 0.6 }, busy).used).toBe(2);
      expect(attained({ p99Ms: 100, worstMinute: 0.5 }, busy).used).toBe(0.5);
    });

    it('moves with the speed of the load', () => {
      const twice = attained({ p99Ms: 100 }, busy, [], 2).worstMinute;
      expect(twice).toEqual({ fromS: 60, arrivedPerSecond: 2, share: 0.75 });
    });

    it('leaves out the last one that is not whole; a short load counts as one', () => {
      expect(attained({ p99Ms: 100 }, busy.slice(0, 185)).worstMinute).toMatchObject({ share: 1 });
      const short = attained({ p99Ms: 100, worstMinute: 0.9 }, [
        ...Array<number>(60).fill(50),
        ...Array<number>(40).fill(200),
      ]);
      expect(short.worstMinute).toBeUndefined();
      expect(short.used).toBe(2);
    });
  });

  it('is at most the least share of any one objective', () => {
    let state = 7;
    const random = () => {
      state = (state * 48_271) % 2_147_483_647;
      return state / 2_147_483_647;
    };
    for (let i = 0; i < 200; i += 1) {
      const some = () => Array.from({ length: 60 }, () => 100 * random());
      const limits = [100 * random(), 100 * random(), 100 * random()];
      const [whole, one, other] = [some(), some(), some()];
      const share = (values: readonly number[], limit = 0) => values.filter((v) => v <= limit).length / values.length;
      const both = attained({ p99Ms: limits[0] }, whole, [
        [limits[1] ?? 0, one],
        [limits[2] ?? 0, other],
      ]).share;
      const each = [share(whole, limits[0]), share(one, limits[1]), share(other, limits[2])];
      expect(both).toBeLessThanOrEqual(Math.min(...each));
      expect(both).toBeGreaterThanOrEqual(each.reduce((sum, s) => sum + s, -2) - 1e-9);
    }
  });
});

const STAGES = ['hear.latency=90ms', 'speak.latency=130ms'];

/** Two stages with objectives at the share of the goodput; `jointly`: the goodput is demanded as well. */
function input(
  jointly: boolean,
  more: Partial<Objective> = {},
  timesMs = arrivals({ count: 1_500, rate: 8, seed: 1 }),
) {
  const base = plannerInput();
  const stages = stageObjectives(base.pipelines, STAGES, 0.9);
  const objective = { stages, ...(jointly && { goodput: 0.9 }), ...more };
  return { ...base, load: loadOf(timesMs), objective } satisfies PlannerInput;
}
function plan(of: PlannerInput, objective: 'cost' | 'rate' = 'cost') {
  let ticks = 0;
  return makePlacement(of, { objective, timeLimitMs: 300, clock: () => ticks++ });
}

/** Counted anew from the simulator's figures, with a loop of its own. */
function counted(of: PlannerInput, placement: ReturnType<typeof plan>, speed = 1) {
  const problem = buildProblem(of);
  const { result } = new Judge(problem).see(candidateOf(problem, placement) as Candidate, { speed });
  const good = Array.from(result.latencyMs).filter(
    (_, run) => (result.observed[0]?.[run] ?? 0) <= 90 && (result.observed[1]?.[run] ?? 0) <= 130,
  );
  return good.length / result.latencyMs.length;
}

describe('a plan with a goodput', SLOW, () => {
  it('has that share of the runs within all objectives, where percentiles of each promise less', () => {
    const single = plan(input(false), 'rate');
    const joint = plan(input(true), 'rate');
    expect(single.predicted.attainment).toBeLessThan(0.9);
    expect(joint.predicted.attainment).toBeGreaterThanOrEqual(0.9);
    expect(joint.ratePerSecond).toBeLessThan(single.ratePerSecond);
    expect(joint.ratePerSecond).toBeLessThanOrEqual(joint.bound + 1e-6);
    expect(joint.predicted.goodputPerSecond).toBeCloseTo(
      joint.ratePerSecond * (joint.predicted.attainment ?? Number.NaN),
      1,
    );
  });

  it('is at least as dear, and is what the simulator’s figures give', () => {
    const single = plan(input(false));
    const joint = plan(input(true));
    expect(joint.costPerHour).toBeGreaterThanOrEqual(single.costPerHour);
    expect(joint.bound).toBeLessThanOrEqual(joint.costPerHour + 1e-9);
    expect(counted(input(true), joint)).toBeCloseTo(joint.predicted.attainment ?? Number.NaN, 5);
    expect(counted(input(true), joint)).toBeGreaterThanOrEqual(0.9);
    expect(readPlacement(JSON.stringify(joint))).toEqual(joint);
    expect(joint.slo).toEqual({
      stages: [
        { stage: 'voice/hear', metric: 'latency', percentile: 90, ms: 90 },
        { stage: 'voice/speak', metric: 'latency', percentile: 90, ms: 130 },
      ],
      goodput: 0.9,
    });
    expect(objectiveOf(joint)).toEqual(input(true).objective);
    expect(placementText(joint, input(true).inventory, table)).toMatch(
      /^Goodput {5}[\d.]+ runs a second meet every objective: [\d.]+ %, at least 90 %\n {12}in the worst minute, from \d+ s with [\d.]+ a second, [\d.]+ %$/m,
    );
    expect(explanation(joint, input(true).inventory, table)).toMatch(
      /^goodput objective {2}[█░]+ [\d.]+ % {2}[\d.]+ % of at least 90 %$/m,
    );
  });

  it('keeps it in a burst too, if each minute has to', () => {
    const calm = arrivals({ count: 480, rate: 4, seed: 1 });
    const after = (calm.at(-1) ?? 0) + 250;
    const burst = arrivals({ count: 720, rate: 12, seed: 2 }).map((at) => after + at);
    const end = (burst.at(-1) ?? 0) + 250;
    const times = Float64Array.from([
      ...calm,
      ...burst,
      ...arrivals({ count: 2_000, rate: 4, seed: 3 }).map((at) => end + at),
    ]);
    const whole = plan(input(true, {}, times));
    const each = plan(input(true, { worstMinute: 0.9 }, times));
    expect(whole.predicted.worstMinute?.attainment).toBeLessThan(0.9);
    expect(whole.predicted.worstMinute?.arrivedPerSecond).toBeGreaterThan(6);
    expect(each.predicted.worstMinute?.attainment).toBeGreaterThanOrEqual(0.9);
    expect(each.costPerHour).toBeGreaterThan(whole.costPerHour);
    expect(each.slo.worstMinute).toBe(0.9);
  });

  it('is refused with its share where no placement reaches it', () => {
    const { code, fields } = refusal(() =>
      plan(input(true, { p99Ms: 140 }, arrivals({ count: 1_500, rate: 400, seed: 1 }))),
    );
    expect(code).toBe('PLACEMENT_INFEASIBLE');
    expect(fields.length).toBeGreaterThan(0);
  });

  it('warns that a load of less than two minutes is one', () => {
    const short = input(true, { worstMinute: 0.9 }, arrivals({ count: 400, rate: 8, seed: 1 }));
    expect(buildProblem(short).warnings).toContainEqual(expect.stringMatching(/^--worst-minute: the load lasts \d+ s/));
  });
});

it('an objective without a percentile needs a goodput', () => {
  const { pipelines } = plannerInput();
  expect(stageObjectives(pipelines, ['hear.latency=90ms'], 0.9)).toEqual([
    { stage: 'voice/hear', metric: 'latency', share: 0.9, ms: 90 },
  ]);
  expect(stageObjectives(pipelines, ['hear.latency.p99=90ms'], 0.9)[0]?.share).toBe(0.99);
  expect(refusal(() => stageObjectives(pipelines, ['hear.latency=90ms'])).fields[0]).toMatch(
    /write <stage>\.<metric>\.<percentile>=<time>.*or pass --goodput/,
  );
});
