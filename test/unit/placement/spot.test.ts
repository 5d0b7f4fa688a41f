import { describe, expect, it } from 'vitest';
import { enumeratedOptimum } from '../../../bench/planner/enumerate.js';
import { smallInstance } from '../../../bench/planner/instances.js';
import { makePlacement, placementText } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import {
  demandedLosses,
  Judge,
  type PlannerInput,
  type Problem,
  searchCheapest,
} from '../../../placement/planner/index.js';
import { replan } from '../../../placement/replan/index.js';
import { arrivals, loadOf } from '../../../placement/simulator/index.js';
import { CLUSTER, plannerInput } from './placement-files.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 120_000 };

/** Two L4s on demand for 0.70 an hour and two on the spot market for `price`. */
const cluster = (price: number) =>
  `${CLUSTER.replace('count: 4', 'count: 2')}      - { kind: l4, count: 2, memory: 24GiB, pricePerHour: ${price}, billing: spot, lossPerHour: 0.05 }\n`;
const input = (price: number, rate = 1, more: Partial<PlannerInput> = {}): PlannerInput => ({
  ...plannerInput({ cluster: cluster(price) }),
  load: loadOf(arrivals({ count: 600, rate, seed: 1 })),
  ...more,
});
function plan(of: PlannerInput) {
  let ticks = 0;
  return makePlacement(of, { objective: 'cost', timeLimitMs: 400, clock: () => ticks++ });
}
const devicesOf = ({ pools }: ReturnType<typeof plan>) =>
  [...new Set(pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices)))].sort();
const table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((row) => row.join('  ')).join('\n');

describe('a placement on spot devices', SLOW, () => {
  it('pays for a spare that carries the load alone, where both cost less than a device that stays', () => {
    const placement = plan(input(0.2));
    expect(devicesOf(placement)).toEqual(['gpu2/2', 'gpu2/3']);
    expect(placement.costPerHour).toBeCloseTo(0.4, 9);
    expect(placement.worstLoss?.predicted.p99Ms).toBeLessThanOrEqual(400);
    expect(placementText(placement, input(0.2).inventory, table)).toMatch(
      /^Survives {4}any one lost spot device; the worst, without gpu2\/\d: p99 \d+ ms$/m,
    );
  });

  it('does without them where the spare makes them dearer, and needs none for devices that stay', () => {
    const placement = plan(input(0.4));
    expect(placement.costPerHour).toBeCloseTo(0.7, 9);
    expect(devicesOf(placement)).toHaveLength(1);
    expect(placement.worstLoss).toBeUndefined();
  });

  it('survives the loss of a spot device beside that of any one node', () => {
    const placement = plan(input(0.2, 1, { survive: 'node' }));
    expect(placement.slo.survive).toBe('node');
    const nodes = new Set(devicesOf(placement).map((id) => id.split('/')[0]));
    expect(nodes.size).toBe(2);
  });

  it('is as cheap as the cheapest of all that survive, by enumeration', () => {
    let compared = 0;
    for (let seed = 1; compared < 5; seed += 1) {
      const small = smallInstance(seed);
      // Those that can be tried in a moment.
      if (small.pools.length > 2 || small.devices.length > 4) continue;
      const devices = small.devices.map((device) =>
        device.kind === 'kind0' ? { ...device, billing: 'spot' as const, lossPerHour: 0.1 } : device,
      );
      const problem: Problem = { ...small, devices };
      const optimum = enumeratedOptimum(problem, new Judge(problem));
      const found = searchCheapest(problem, { timeLimitMs: 1, clock: () => 0 });
      expect(found?.value ?? Number.POSITIVE_INFINITY, `seed ${seed}`).toBeCloseTo(optimum, 9);
      if (found === undefined) continue;
      const judge = new Judge({ ...small, survive: undefined });
      for (const { rest, lost } of demandedLosses(problem, found.candidate)) {
        expect(lost, `seed ${seed}`).toEqual([]);
        expect(judge.holds(rest), `seed ${seed}`).toBe(true);
      }
      compared += 1;
    }
  });

  it('after a loss carries the load on what is left, and the proposal says that it survives no other', () => {
    const of = input(0.2);
    const placement = plan(of);
    const gone = of.inventory.devices.map(({ id }) => id).filter((id) => id !== 'gpu2/3');
    let ticks = 0;
    const found = replan(
      {
        placement,
        measured: {
          windowMs: 60_000,
          completed: 60,
          failed: 0,
          started: { voice: 60 },
          runs: { count: 0, p50Ms: 0, p95Ms: 0 },
          budgets: [],
          stages: {},
          services: {},
          lost: gone.map((device) => ({ device, because: 'gone' })),
        },
        input: of,
        tolerance: 0.2,
      },
      { objective: 'cost', timeLimitMs: 60, clock: () => ticks++ },
    );
    expect(found.proposal && devicesOf(found.proposal)).toEqual(['gpu2/3']);
    expect(found.problem).toMatch(/^PLACEMENT_INFEASIBLE: .*also after the loss of any one spot device/);
  });
});

describe('the billing of a device', () => {
  it('is on demand, reserved, or spot with a probability of loss', () => {
    const text = cluster(0.2).replace('pricePerHour: 2.40', 'pricePerHour: 2.40, billing: reserved');
    const { devices } = readInventory(text);
    expect(devices.map(({ billing, lossPerHour }) => [billing, lossPerHour])).toEqual([
      ['reserved', undefined],
      ['reserved', undefined],
      [undefined, undefined],
      [undefined, undefined],
      ['spot', 0.05],
      ['spot', 0.05],
    ]);
  });

  it.each([
    [', lossPerHour: 0.05', '', /cluster\.yaml:9 nodes\[1\]\.devices\[1\]\.billing: give lossPerHour, the probability/],
    ['billing: spot, ', '', /cluster\.yaml:9 nodes\[1\]\.devices\[1\]\.lossPerHour: only spot devices have it/],
    ['lossPerHour: 0.05', 'lossPerHour: 1', /lossPerHour: below 1/],
    ['lossPerHour: 0.05', 'lossPerHour: 0', /lossPerHour: above 0/],
    ['billing: spot', 'billing: free', /billing: must be "on-demand", "reserved" or "spot"/],
  ])('is refused by its line: %j becomes %j', (from, to, message) => {
    const { code, fields } = refusal(() => readInventory(cluster(0.2).replace(from, to)));
    expect(code).toBe('INVALID_INVENTORY');
    expect(fields[0]).toMatch(message);
  });
});
