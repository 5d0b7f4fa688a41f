import { describe, expect, it } from 'vitest';
import { readPlacement } from '../../../placement/document/index.js';
import { explanation, makePlacement, placementText } from '../../../placement/explain/index.js';
import { budgetsOf, keptShare, spentOf } from '../../../placement/planner/error-budget.js';
import {
  buildProblem,
  type Candidate,
  Judge,
  type Objective,
  type PlannerInput,
  type Problem,
} from '../../../placement/planner/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { objectiveOf } from '../../../placement/replan/index.js';
import { rateOf, type SimulationResult } from '../../../placement/simulator/index.js';
import { stageObjectives } from '../../../placement/workload/index.js';
import { judgedBy, type OracleProfile } from '../../oracle/placement-oracle.js';
import { PIPELINE, PROFILES, plannerInput } from './placement-files.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };
const table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((row) => row.join('  ')).join('\n');

describe('an error budget', () => {
  it('is what a percentile lets be late; a part of it asks for a higher percentile', () => {
    expect(keptShare(0.99)).toBe(0.99);
    expect(keptShare(0.99, 0.5)).toBe(0.995);
    expect(keptShare(0.95, 0.1)).toBe(0.995);
    expect(keptShare(0.9, 1)).toBe(0.9);
    expect(spentOf(0.99, 0.003)).toBeCloseTo(0.3);
    expect(spentOf(0.99, 0.02)).toBeCloseTo(2);
    expect(spentOf(1, 0)).toBe(0);
  });

  it('counts the runs beyond each objective: not those that fail or lack the figure, and those that never end', () => {
    const { NaN: none, POSITIVE_INFINITY: never } = Number;
    const targets = [0, 1].map((stage) => ({
      ...{ stage: `p/s${stage}`, metric: 'latency' as const, share: 0.95, ms: 10 },
      observed: { stage, metric: 'whole' as const },
    }));
    const latencyMs = Float64Array.of(50, 200, never, none, 50);
    const observed = [Float64Array.of(5, 15, 5, none, none), Float64Array.of(none, none, none, none, none)];
    const result = { latencyMs, observed } as unknown as SimulationResult;
    const spent = budgetsOf({ objective: { p99Ms: 100, p95Ms: 60, goodput: 0.9 }, targets }, result, 0.8);
    expect(spent.map(({ of, beyond }) => [of, beyond])).toEqual([
      ['p99', 0.5],
      ['p95', 0.5],
      ['p/s0 latency p95', 1 / 3],
      ['p/s1 latency p95', 0],
      ['goodput', expect.closeTo(0.2)],
    ]);
    expect(spent.map((each) => each.spent)).toEqual([50, 10, 20 / 3, 0, 2].map((share) => expect.closeTo(share, 6)));
  });
});

function plan(of: PlannerInput, objective: 'cost' | 'rate' = 'cost') {
  let ticks = 0;
  return makePlacement(of, { objective, timeLimitMs: 300, clock: () => ticks++ });
}
/** Calls take what they take: the second simulator draws no times, so that both have the same runs. */
const EVEN = PROFILES.map(({ file, text }) => {
  const profile = JSON.parse(text) as OracleProfile & { readonly latency: readonly { readonly p50Ms: number }[] };
  const latency = profile.latency.map((row) => ({ ...row, p95Ms: row.p50Ms, p99Ms: row.p50Ms }));
  return { file, profile: { ...profile, latency } };
});
const input = (more: Partial<Objective>): PlannerInput => {
  const base = plannerInput({
    profiles: EVEN.map(({ file, profile }) => ({ file, text: JSON.stringify(profile) })),
  });
  return { ...base, objective: { ...base.objective, ...more } };
};
const spentOn = ({ predicted }: ReturnType<typeof plan>, of = 'p99') =>
  predicted.errorBudgets?.find((each) => each.of === of)?.spent ?? Number.NaN;

/** Share of the runs beyond a time by the second simulator, which knows nothing of the first. */
function beyondByOracle(of: PlannerInput, placement: ReturnType<typeof plan>, ms: number): number {
  const speed = placement.ratePerSecond / rateOf(of.load);
  const latency = judgedBy({
    stages: JSON.parse(PIPELINE).stages,
    pools: placement.pools,
    profiles: EVEN.map(({ profile }) => profile),
    devices: of.inventory.devices,
    timesMs: of.load.timesMs.map((at) => at / speed),
    sizes: of.load.sizes,
    seed: 1,
  });
  return latency.filter((each) => each > ms).length / latency.length;
}

describe('a plan that may spend half of it', SLOW, () => {
  const whole = plan(input({}), 'rate');
  const half = plan(input({ errorBudget: 0.5 }), 'rate');

  /** Whether a plan is accepted at its rate, where so much of each budget may be spent. */
  const accepted = (placement: ReturnType<typeof plan>, errorBudget?: number) => {
    const problem = buildProblem(input(errorBudget === undefined ? {} : { errorBudget }));
    const candidate = candidateOf(problem, placement) ?? expect.fail('another problem');
    return new Judge(problem).passes(candidate, placement.ratePerSecond / rateOf(problem.load));
  };

  it('keeps the rest for failures, which a plan that may spend all of it does not', () => {
    expect(spentOn(whole)).toBeGreaterThan(0.5);
    expect(spentOn(whole)).toBeLessThanOrEqual(1);
    expect(spentOn(half)).toBeLessThanOrEqual(0.5);
    // A little slower: rates are rounded in the document.
    const slower = { ...whole, ratePerSecond: whole.ratePerSecond * 0.9999 };
    expect([accepted(slower), accepted(slower, 0.5)]).toEqual([true, false]);
    expect(accepted({ ...half, ratePerSecond: half.ratePerSecond * 0.9999 }, 0.5)).toBe(true);
    expect(half.ratePerSecond).toBeLessThanOrEqual(half.bound + 1e-6);
    expect(half.bound).toBeLessThanOrEqual(whole.bound + 1e-6);
  });

  const seen = (problem: Problem, candidate: Candidate, speed: number) => {
    const { result, budgets } = new Judge(problem).see(candidate, { speed });
    return { latencyMs: result.latencyMs.slice(), budgets };
  };

  it('is what a second simulator counts, at several rates', () => {
    const problem = buildProblem(input({}));
    for (const each of [whole, half]) {
      for (const share of [1, 0.95, 0.8]) {
        const at = { ...each, ratePerSecond: each.ratePerSecond * share };
        const candidate = candidateOf(problem, at) ?? expect.fail('another problem');
        const speed = at.ratePerSecond / rateOf(problem.load);
        const { latencyMs, budgets } = seen(problem, candidate, speed);
        const own = (ms: number) => latencyMs.filter((each) => each > ms).length / latencyMs.length;
        expect(budgets.find(({ of }) => of === 'p99')?.beyond).toBeCloseTo(own(400), 9);
        // Their times differ by up to 2 %, as in oracle.test.ts: the second one knows no way between nodes.
        const theirs = beyondByOracle(input({}), at, 400);
        expect(theirs).toBeGreaterThanOrEqual(own(408));
        expect(theirs).toBeLessThanOrEqual(own(392));
      }
    }
  });

  it('says so in the document, to people, and to the next plan', () => {
    expect(half.slo).toEqual({ p99Ms: 400, errorBudget: 0.5 });
    expect(readPlacement(JSON.stringify(half))).toEqual(half);
    expect(objectiveOf(half)).toEqual(input({ errorBudget: 0.5 }).objective);
    expect(placementText(half, input({}).inventory, table)).toMatch(
      /^Budget {6}p99 spends [\d.]+ % of its error budget, at most 50 %: [\d.]+ % of the runs are beyond it$/m,
    );
    const explained = explanation(half, input({}).inventory, table);
    expect(explained).toMatch(
      /^p99 error budget {2}[█░]+ [\d.]+ % {2}[\d.]+ % spent, at most 50 %: [\d.]+ % of the runs$/m,
    );
    expect(explained).toMatch(/^Error budgets spent: p99 [\d.]+ %$/m);
    expect(placementText(whole, input({}).inventory, table)).toMatch(
      /^Budget {6}p99 spends [\d.]+ % of its error budget: [\d.]+ % of the runs are beyond it$/m,
    );
    expect(explanation(whole, input({}).inventory, table)).not.toMatch(/^p99 error budget/m);
  });

  it('holds for objectives of stages and for the goodput too', () => {
    const base = plannerInput();
    const stages = stageObjectives(base.pipelines, ['hear.latency.p95=120ms', 'speak.latency=180ms'], 0.9);
    const of = (errorBudget?: number): PlannerInput => ({
      ...base,
      objective: { stages, goodput: 0.9, ...(errorBudget !== undefined && { errorBudget }) },
    });
    const [all, part] = [plan(of(), 'rate'), plan(of(0.4), 'rate')];
    expect(part.predicted.errorBudgets?.map((each) => each.of)).toEqual([
      'voice/hear latency p95',
      'voice/speak latency p90',
      'goodput',
    ]);
    for (const { spent } of part.predicted.errorBudgets ?? []) expect(spent).toBeLessThanOrEqual(0.4);
    expect(part.predicted.attainment).toBeGreaterThanOrEqual(0.96);
    expect(part.ratePerSecond).toBeLessThan(all.ratePerSecond);
  });

  it('costs at least as much, and is refused with its share where nothing keeps it', () => {
    const [all, tenth] = [plan(input({})), plan(input({ errorBudget: 0.1 }))];
    expect(tenth.costPerHour).toBeGreaterThanOrEqual(all.costPerHour);
    expect(tenth.bound).toBeLessThanOrEqual(tenth.costPerHour + 1e-9);
    const much = { ...plannerInput({ rate: 400 }), objective: { p99Ms: 400, errorBudget: 0.5 } };
    expect(refusal(() => plan(much))).toMatchObject({ code: 'PLACEMENT_INFEASIBLE' });
    expect(() => plan(much)).toThrow(/a part of at most 50 % of each error budget spent/);
  });

  it('needs more runs to be judged by', () => {
    const { load } = plannerInput();
    const few = { ...load, timesMs: load.timesMs.slice(0, 150), pipelines: load.pipelines.slice(0, 150) };
    const warning = expect.stringMatching(/^whole runs: the load has about 150 such runs, and p99\.5 of so few/);
    expect(buildProblem({ ...input({}), load: few }).warnings).not.toContainEqual(warning);
    expect(buildProblem({ ...input({ errorBudget: 0.5 }), load: few }).warnings).toContainEqual(warning);
  });
});
