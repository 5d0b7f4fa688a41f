import { describe, expect, it } from 'vitest';
import { enumeratedOptimum } from '../../../bench/planner/enumerate.js';
import { smallInstance } from '../../../bench/planner/instances.js';
import { readPlacement } from '../../../placement/document/index.js';
import { explanation, makePlacement, placementText } from '../../../placement/explain/index.js';
import {
  buildProblem,
  type Candidate,
  Judge,
  lossesOf,
  type PlannerInput,
  type Problem,
  searchCheapest,
} from '../../../placement/planner/index.js';
import { candidateOf } from '../../../placement/replan/candidate-of.js';
import { replan } from '../../../placement/replan/index.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { CLUSTER, plannerInput } from './placement-files.js';

const SLOW = { timeout: 120_000 };

const input = (survive: PlannerInput['survive'], more: Parameters<typeof plannerInput>[0] = {}): PlannerInput => {
  const { rate = 8 } = more;
  return { ...plannerInput(more), survive, load: loadOf(arrivals({ count: 600, rate, seed: 1 })) };
};
function options(objective: 'cost' | 'rate' = 'cost', timeLimitMs = 300) {
  let ticks = 0;
  return { objective, timeLimitMs, clock: () => ticks++ };
}
const plan = (of: PlannerInput, objective: 'cost' | 'rate' = 'cost') => makePlacement(of, options(objective));
const nodesOf = ({ pools }: ReturnType<typeof plan>) =>
  pools.map(({ replicas }) => new Set(replicas.flatMap(({ devices }) => devices.map((id) => id.split('/')[0]))).size);
const table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((row) => row.join('  ')).join('\n');

/** Judged by itself: the placement's candidate without each device or node, on a problem that demands nothing. */
function lateAfter(of: PlannerInput, placement: ReturnType<typeof plan>, by: 'device' | 'node') {
  const problem = buildProblem({ ...of, survive: undefined });
  const candidate = candidateOf(problem, placement) as Candidate;
  const judge = new Judge(problem);
  const names = new Set(
    candidate.replicas.flatMap(({ devices }) => devices.map((d) => (by === 'node' ? problem.devices[d]?.node : d))),
  );
  return [...names].map((name) => {
    const replicas = candidate.replicas.filter(
      ({ devices }) => !devices.some((d) => d === name || problem.devices[d]?.node === name),
    );
    return judge.see({ ...candidate, replicas }).p99Ms;
  });
}

describe('a plan that survives a loss', SLOW, () => {
  it('keeps its objective without any one device, and costs more than one that does not', () => {
    const placement = plan(input('device'));
    const alone = plan(input(undefined));
    expect(placement.slo.survive).toBe('device');
    expect(lateAfter(input('device'), placement, 'device').every((ms) => ms <= 400)).toBe(true);
    expect(placement.costPerHour).toBeGreaterThan(alone.costPerHour);
    expect(placement.bound).toBeLessThanOrEqual(placement.costPerHour + 1e-9);
    expect(placement.worstLoss?.predicted.p99Ms).toBeLessThanOrEqual(400);
    expect(placement.degraded.every(({ lost, shedShare }) => lost.length === 0 && shedShare === 0)).toBe(true);
    expect(readPlacement(JSON.stringify(placement))).toEqual(placement);
    const { inventory } = input('device');
    const worst = placement.worstLoss?.without;
    expect(explanation(placement, inventory, table)).toMatch(
      new RegExp(`^Worst loss: without ${worst} p99 is \\d+ ms: the objective holds after any one lost device$`, 'm'),
    );
    expect(explanation(placement, inventory, table)).toMatch(
      new RegExp(`^p99 without ${worst}, objective  [█░]+ \\d+ %  \\d+ of 400 ms$`, 'm'),
    );
    expect(placementText(placement, inventory, table)).toMatch(
      /^Survives {4}any one lost device; the worst, without gpu\d\/\d: p99 \d+ ms$/m,
    );
  });

  it('keeps it without any one node: every model is on two', () => {
    const placement = plan(input('node', { rate: 4 }));
    expect(lateAfter(input('node', { rate: 4 }), placement, 'node').every((ms) => ms <= 400)).toBe(true);
    expect(nodesOf(placement)).toEqual([2, 2]);
  });

  it('is infeasible where all devices are on one node, and says so', () => {
    const [, one = ''] = CLUSTER.split('nodes:\n');
    const cluster = `format: 1\nnodes:\n${one.slice(one.indexOf('  - name: gpu2'))}`;
    expect(() => makePlacement(input('node', { cluster }), options('cost', 40))).toThrow(
      /^infeasible, .*p99 of 400 ms, also after the loss of any one node\./,
    );
  });

  it('of objective rate holds that rate after each loss', () => {
    const placement = plan(input('device'), 'rate');
    const problem = buildProblem(input('device'));
    const candidate = candidateOf(problem, placement) as Candidate;
    const speed = (0.98 * placement.ratePerSecond) / 8;
    const judge = new Judge({ ...problem, survive: undefined });
    for (const { rest } of lossesOf(problem, candidate, 'device')) expect(judge.holds(rest, speed)).toBe(true);
    expect(placement.ratePerSecond).toBeLessThan(plan(input(undefined), 'rate').ratePerSecond);
  });

  it('is as cheap as the cheapest of all that do, by enumeration', () => {
    let compared = 0;
    for (let seed = 1; compared < 5; seed += 1) {
      const survive = seed % 3 === 0 ? 'node' : 'device';
      const problem: Problem = { ...smallInstance(seed), survive };
      // Those that can be tried in a moment.
      if (problem.pools.length > 2 || problem.devices.length > 4) continue;
      const optimum = enumeratedOptimum(problem, new Judge(problem));
      const found = searchCheapest(problem, { timeLimitMs: 1, clock: () => 0 });
      expect(found?.value ?? Number.POSITIVE_INFINITY, `seed ${seed}`).toBeCloseTo(optimum, 9);
      if (optimum < Number.POSITIVE_INFINITY) compared += 1;
    }
  });
});

describe('a loss', () => {
  it('of a GPU takes all its parts, and a replica goes with any of its devices', () => {
    const cluster = CLUSTER.replace(
      '{ kind: l4, count: 4, memory: 24GiB, pricePerHour: 0.70 }',
      '{ kind: l4, memory: 48GiB, pricePerHour: 0.70, share: { mode: mig, parts: 2 } }',
    );
    const problem = buildProblem(
      plannerInput({
        cluster,
        profiles: plannerInput().profiles.map(({ value }, i) => ({
          file: `${i}.json`,
          text: JSON.stringify({ ...value, deviceKind: value.deviceKind === 'l4' ? 'l4:mig2' : 'a100' }),
        })),
      }),
    );
    expect(problem.devices.map(({ id }) => id)).toEqual(['gpu1/0', 'gpu1/1', 'gpu2/0.0', 'gpu2/0.1']);
    const replicas = [
      { pool: 0, devices: [2] },
      { pool: 1, devices: [3] },
      { pool: 0, devices: [0, 1] },
    ];
    const losses = lossesOf(problem, { configs: [0, 0], replicas }, 'device');
    expect(losses.map(({ without, lost, rest }) => [without, lost, rest.replicas.length])).toEqual([
      ['gpu2/0', [1], 1],
      ['gpu1/0', [], 2],
    ]);
    expect(lossesOf(problem, { configs: [0, 0], replicas }, 'node').map(({ without }) => without)).toEqual([
      'gpu2',
      'gpu1',
    ]);
  });
});

describe('replan of a plan that survives a loss', SLOW, () => {
  it('proposes what carries the load on what is left, and says if it survives no other loss', () => {
    const of = input('device', { rate: 8 });
    const placement = plan(of);
    const [first = ''] = placement.pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices));
    const lost = of.inventory.devices.filter(({ id }) => id === first || id.startsWith('gpu1')).map(({ id }) => id);
    const left = of.inventory.devices.map(({ id }) => id).filter((id) => !lost.includes(id));
    const measured = {
      windowMs: 60_000,
      completed: 480,
      failed: 0,
      started: { voice: 480 },
      runs: { count: 0, p50Ms: 0, p95Ms: 0 },
      budgets: [],
      stages: {},
      services: {},
      lost: [...lost, ...left.slice(1)].map((device) => ({ device, because: 'gone' })),
    };
    const found = replan(
      {
        placement,
        measured,
        input: { ...of, load: loadOf(arrivals({ count: 600, rate: 2, seed: 1 })) },
        tolerance: 0.2,
      },
      options('cost', 60),
    );
    expect(found.proposal?.pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices))).toEqual([
      left[0],
      left[0],
    ]);
    expect(found.problem).toMatch(/^PLACEMENT_INFEASIBLE: .*also after the loss of any one device/);
  });
});
