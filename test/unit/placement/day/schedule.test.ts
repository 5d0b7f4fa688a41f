import { describe, expect, it } from 'vitest';
import { enumeratedOptimum } from '../../../../bench/planner/enumerate.js';
import {
  type DayOptions,
  type Hour,
  hoursOfRates,
  makeSchedule,
  scheduleText,
} from '../../../../placement/day/index.js';
import { placementOf, readSchedule, type ScheduleDocument } from '../../../../placement/document/index.js';
import { makeLoad } from '../../../../placement/explain/index.js';
import { buildProblem, Judge } from '../../../../placement/planner/index.js';
import { candidateOf } from '../../../../placement/replan/candidate-of.js';
import { arrivals } from '../../../../placement/simulator/index.js';
import { CLUSTER, PIPELINE, plannerInput } from '../placement-files.js';
import { refusal } from '../refusal.js';

/** Each schedule is some searches of hundreds of simulations. */
const SLOW = { timeout: 120_000 };

type Planned = Parameters<typeof plannerInput>[0];

/** Hours of so many runs a second, of which fewer arrive than are simulated for a rate. */
const hoursOf = (rates: readonly number[]): readonly Hour[] =>
  rates.map((rate) => ({
    rates: [rate],
    arriving: [{ trace: { timesMs: arrivals({ count: 400, rate, seed: 1 }), sizes: {} } }],
    key: `${rate}`,
  }));

/** A schedule with time that is counted in looks at the clock. */
function day(rates: readonly number[], more: Partial<DayOptions> = {}, input: Planned = {}): ScheduleDocument {
  let ticks = 0;
  return makeSchedule(plannerInput(input), hoursOf(rates), {
    coldStartMs: () => 0,
    perSwitch: 0,
    repeats: true,
    timeLimitMs: 3_000,
    clock: () => ticks++,
    ...more,
  });
}

const problemAt = (rate: number) => {
  const load = makeLoad(hoursOf([rate])[0]?.arriving ?? [], 400, 1);
  return buildProblem({ ...plannerInput(), load });
};

/** The cost of the cheapest of all placements for a rate. */
const optimumAt = (rate: number): number => enumeratedOptimum(problemAt(rate), new Judge(problemAt(rate)));

/** Two of the L4s are of this billing. */
const withBilling = (billing: string, price = 0.7): string =>
  `${CLUSTER.replace('count: 4', 'count: 2')}      - { kind: l4, count: 2, memory: 24GiB, pricePerHour: ${price}, ${billing} }\n`;

const RATES = [1, 1, 40, 40, 40, 1];
const plain = day(RATES);
const table = (headings: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
  [headings, ...rows].map((row) => row.join(' | ')).join('\n');

describe('a schedule', SLOW, () => {
  it('costs the sum of the hours’ optima by enumeration if changes cost nothing', () => {
    const [quiet, busy] = [optimumAt(1), optimumAt(40)];
    expect(busy).toBeGreaterThan(quiet);
    const { cost, hours } = plain;
    for (const [h, rate] of RATES.entries()) expect(hours[h]?.costPerHour).toBeCloseTo(rate === 1 ? quiet : busy, 6);
    expect(cost.total).toBeCloseTo(3 * quiet + 3 * busy, 6);
    expect(cost).toMatchObject({ hourlyOptima: cost.total, used: cost.total, reserved: 0, switching: 0 });
    expect(cost.onePlacement).toBeCloseTo(6 * busy, 6);
    expect(cost.bound).toBeLessThanOrEqual(cost.hourlyOptima);
    expect(plain.switches).toBe(2);
  });

  it('has for each hour a placement that keeps the objective by the simulator, and says what changes', () => {
    for (const hour of plain.hours) {
      const { predicted, rates } = hour;
      const placement = placementOf(plain, hour);
      const problem = problemAt(rates.voice ?? 0);
      const candidate = placement && candidateOf(problem, placement);
      const seen = candidate && new Judge(problem).see(candidate);
      expect(seen?.holds).toBe(true);
      expect(predicted.p99Ms).toBeCloseTo(seen?.p99Ms ?? 0, 2);
      expect(predicted.p99Ms).toBeLessThanOrEqual(400);
    }
    const changed = plain.hours.flatMap(({ hour, change }) => (change ? [hour] : []));
    expect(changed).toEqual([2, 5]);
    const servers = (at: number) =>
      placementOf(plain, plain.hours[at] ?? expect.fail())?.pools.flatMap(({ model, maxBatch, replicas }) =>
        replicas.map(({ devices }) => JSON.stringify([model, maxBatch, devices])),
      ) ?? [];
    const { start = [], stop = [] } = plain.hours[2]?.change ?? {};
    expect(start).toHaveLength(servers(2).filter((each) => !servers(1).includes(each)).length);
    expect(stop).toHaveLength(servers(1).filter((each) => !servers(2).includes(each)).length);
  });

  it('is written and read again, and refused if its hours or placements were changed', () => {
    const text = JSON.stringify(plain, null, 2);
    expect(readSchedule(text)).toEqual(plain);
    const [first, second] = plain.placements.map(({ version }) => version);
    for (const [change, message] of [
      [text.replace(`"placement": "${first}"`, `"placement": "${second}"`), /version: the schedule’s hash is/],
      [text.replace(`"placement": "${first}"`, '"placement": "000000000000"'), /no placement 000000000000 among/],
      [text.replace('"hour": 1', '"hour": 7'), /hours\[1\]\.hour: it is not 1: the hours are listed in order/],
      [text.replace('"maxBatch": ', '"maxBatch": 1'), /placements\[0\]\.version: the placement’s hash/],
    ] as const) {
      expect(refusal(() => readSchedule(change))).toMatchObject({
        code: 'INVALID_PLACEMENT',
        fields: [expect.stringMatching(message)],
      });
    }
  });

  it('costs no less with dearer changes or fewer of them allowed, and at most what one placement does', () => {
    const total = (more: Partial<DayOptions>) => day(RATES, more).cost.total;
    const dearer = [plain.cost.total, total({ perSwitch: 0.5 }), total({ perSwitch: 100 })];
    const fewer = [plain.cost.total, total({ mostSwitches: 1 }), total({ mostSwitches: 0 })];
    for (const [a = 0, b = 0, c = 0] of [dearer, fewer]) {
      expect(a).toBeLessThanOrEqual(b + 1e-9);
      expect(b).toBeLessThanOrEqual(c + 1e-9);
      expect(c).toBeCloseTo(plain.cost.onePlacement ?? 0, 6);
    }
    // A day that repeats has at least two changes or none.
    expect(day(RATES, { mostSwitches: 1 }).switches).toBe(0);
    const once = day(RATES, { mostSwitches: 1, repeats: false });
    expect(once.switches).toBe(1);
    expect(once.hours[0]?.change).toBeNull();
  });

  it('counts cold starts of new devices, started before the hour', () => {
    const cold = day(RATES, { coldStartMs: () => 360_000 });
    const { change } = cold.hours[2] ?? {};
    const added = (cold.hours[2]?.costPerHour ?? 0) - (cold.hours[1]?.costPerHour ?? 0);
    expect(change).toMatchObject({ startS: 360 });
    expect(change?.cost).toBeGreaterThanOrEqual(added * 0.1 - 1e-9);
    expect(cold.cost.total).toBeCloseTo(cold.cost.used + cold.cost.switching, 6);
    expect(cold.cost.total).toBeGreaterThan(plain.cost.total);
    expect(cold.switching.coldStartS).toEqual({ whisper: 360, tts: 360 });
  });

  it('pays reserved devices at all hours and uses them first: more of them never cost more besides', () => {
    const some = day(RATES, {}, { cluster: withBilling('billing: reserved') });
    const all = day(RATES, {}, { cluster: CLUSTER.replaceAll('pricePerHour', 'billing: reserved, pricePerHour') });
    expect(some.cost.reserved).toBeCloseTo(6 * 1.4, 6);
    expect(some.cost.used).toBeLessThanOrEqual(plain.cost.used + 1e-9);
    expect(all.cost).toMatchObject({ used: 0, hourlyOptima: all.cost.total, bound: all.cost.total });
    expect(some.hours.every(({ costPerHour }) => costPerHour >= 1.4 - 1e-9)).toBe(true);
    // A placement is described with the prices of the devices that it uses, as everywhere.
    expect(some.placements.every(({ costPerHour }) => costPerHour > 0)).toBe(true);
  });

  it('on spot devices keeps its objective without any one of them, and says how likely two are lost', () => {
    const cluster = withBilling('billing: spot, lossPerHour: 0.1', 0.1);
    const spot = day([1, 1], {}, { cluster });
    const spots = ['gpu2/2', 'gpu2/3'];
    const [placement] = spot.placements;
    const used = Object.keys(placement?.predicted.devices ?? {});
    expect(used.sort()).toEqual(spots);
    expect(placement?.worstLoss?.predicted.p99Ms).toBeLessThanOrEqual(400);
    // Two of two devices at once, in either of two hours.
    expect(spot.spotRisk).toBeCloseTo(1 - (1 - 0.01) ** 2, 5);
    expect(spot.cost.total).toBeLessThan(day([1, 1]).cost.total);
    expect(plain.spotRisk).toBeUndefined();
  });

  it('bounds an autoscaler: replicas, and the calls in one at which the next is due', () => {
    const { autoscaling, hours } = plain;
    const counts = (model: string) =>
      hours.map((hour) => placementOf(plain, hour)?.pools.find((pool) => pool.model === model)?.replicas.length ?? 0);
    for (const { model, least, most, callsPerReplica } of autoscaling) {
      expect([least, most]).toEqual([Math.min(...counts(model)), Math.max(...counts(model))]);
      if (least === most) expect(callsPerReplica).toBeNull();
      else expect(callsPerReplica).toBeGreaterThan(0);
    }
    expect(autoscaling.some(({ least, most }) => most > least)).toBe(true);
    // The longer a server takes to start while the demand grows, the earlier it is due.
    const slow = day(RATES, { coldStartMs: () => 3_600_000, perSwitch: 0 }).autoscaling;
    for (const { model, callsPerReplica } of slow) {
      const quick = autoscaling.find((each) => each.model === model)?.callsPerReplica;
      if (callsPerReplica !== null && quick) expect(callsPerReplica).toBeLessThanOrEqual(quick);
    }
  });

  it('names the hour that no placement serves', () => {
    const refused = () => day([1, 400, 1], { timeLimitMs: 90 });
    expect(refused).toThrow(/^hour 1: infeasible, because no placement on the 6 devices/);
    expect(refusal(refused).code).toBe('PLACEMENT_INFEASIBLE');
  });

  it('names the hour whose runs take longer than the objective even on idle devices', () => {
    const refused = () => day([1, 1], {}, { p99Ms: 10 });
    expect(refused).toThrow(/^hour 0: /);
    expect(refusal(refused).code).toBe('SLO_UNREACHABLE');
  });

  it('says that a change is impossible where old and new servers do not fit the devices together', () => {
    const one = (name: string, model: string) => JSON.stringify({ format: 1, name, stages: [{ id: 'only', model }] });
    const cluster = `format: 1
nodes:
  - name: gpu2
    devices: [{ kind: l4, count: 3, memory: 24GiB, pricePerHour: 0.70, sharing: exclusive }]
`;
    // Two devices for the one and one for the other, the other way round in the next hour: four for both at once.
    const rates = [
      [35, 0.35],
      [0.28, 28],
    ];
    const hours = rates.map((each): Hour => {
      const arriving = each.map((rate) => {
        const timesMs = arrivals({ count: Math.ceil(12 * rate), rate, seed: 1 });
        return { trace: { timesMs, sizes: {} }, coversMs: 12_000 };
      });
      return { rates: each, arriving, key: each.join() };
    });
    let ticks = 0;
    const options = { coldStartMs: () => 0, perSwitch: 0, repeats: true, timeLimitMs: 900, clock: () => ticks++ };
    const input = plannerInput({ cluster, pipelines: [one('hearing', 'whisper'), one('speaking', 'tts')], p99Ms: 600 });
    const { code, fields } = refusal(() => makeSchedule(input, hours, options));
    expect(code).toBe('PLACEMENT_INFEASIBLE');
    expect(fields).toEqual([expect.stringMatching(/^--cluster: no sequence of placements serves all hours, because/)]);
  });

  it('serves pipelines whose peaks are at different hours', () => {
    const other = JSON.stringify({ format: 1, name: 'dictation', stages: [{ id: 'hear', model: 'whisper' }] });
    const input = plannerInput({ pipelines: [PIPELINE, other] });
    const hours = hoursOfRates(
      [
        [6, 0],
        [1, 9],
      ],
      1,
    );
    let ticks = 0;
    const options = { coldStartMs: () => 60_000, perSwitch: 0, repeats: true, timeLimitMs: 600, clock: () => ticks++ };
    const both = makeSchedule(input, hours, options);
    expect(both.hours.map(({ rates }) => rates)).toEqual([
      { voice: 6, dictation: 0 },
      { voice: 1, dictation: 9 },
    ]);
    expect(both.hours.every(({ predicted }) => predicted.p99Ms <= 400)).toBe(true);
    expect(both.cost.bound).toBeLessThanOrEqual(both.cost.hourlyOptima);
    expect(both.cost.hourlyOptima).toBeLessThanOrEqual(both.cost.total + 1e-9);
    expect(both.cost.total).toBeLessThanOrEqual((both.cost.onePlacement ?? Number.POSITIVE_INFINITY) + 1e-9);
  });

  it('is told with its costs, its hours and what changes', () => {
    const { inventory } = plannerInput();
    const text = scheduleText(plain, inventory, table);
    expect(text).toMatch(/^Schedule [0-9a-f]{12}: 6 hours for \d+\.\d\d EUR, p99 <= 400 ms$/m);
    expect(text).toMatch(/^Changes {7}2, with \d+ servers started: 0\.00 EUR of it$/m);
    expect(text).toMatch(/^One placement \d+\.\d\d EUR \(\+\d+\.\d\d\) for all hours$/m);
    expect(text).toMatch(/^Free changes {2}\d+\.\d\d EUR \(\+0\.00\): each hour’s cheapest/m);
    expect(text).toMatch(/^Bound {9}\d+\.\d\d EUR \([+-]\d+\.\d\d\): no schedule costs less$/m);
    expect(text).toMatch(/^2 \| 40 \| \d (l4|a100).* \| \d+\.\d\d \| \d+ \| \d+ \| \+\d /m);
    expect(text).toMatch(/^1 \| 1 \| \d (l4|a100) \| \d\.\d\d \| \d+ \| \d+ \| $/m);
    expect(text).toMatch(/^(whisper|tts) \| \d \| \d \| \d+(\.\d+)? calls in a replica$/m);
    expect(scheduleText(plain, undefined, table)).toMatch(/^1 \| 1 \| \d \| /m);
  });
});
