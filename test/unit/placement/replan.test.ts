import { describe, expect, it } from 'vitest';
import { makePlacement } from '../../../placement/explain/index.js';
import type { PlannerInput } from '../../../placement/planner/index.js';
import { type Measured, replan, replanText, TOLERANCE } from '../../../placement/replan/index.js';
import { plannerInput } from './placement-files.js';

/** Time that is counted in looks at the clock: the same plan on any machine. */
const options = () => {
  let ticks = 0;
  return { objective: 'cost' as const, timeLimitMs: 400, clock: () => ticks++ };
};
const placement = makePlacement(plannerInput(), options());
const { predicted } = placement;

/** What would be measured of a placement that does as it was predicted to, at 5 runs a second for 200 s. */
const asPredicted: Measured = {
  windowMs: 200_000,
  started: { voice: 1_000 },
  completed: 990,
  failed: 0,
  runs: { count: 990, p50Ms: predicted.p50Ms, p95Ms: predicted.p95Ms },
  budgets: [{ of: 'p99', share: 0.99, ms: 400, count: 990, late: 5 }],
  stages: Object.fromEntries(
    Object.entries(predicted.stages).map(([stage, { waitMs, serviceMs }]) => [
      stage,
      { calls: 200, meanMs: waitMs + serviceMs },
    ]),
  ),
  services: {
    whisper: { calls: 200, meanMs: predicted.stages['voice/hear']?.serviceMs ?? 0 },
    tts: { calls: 200, meanMs: predicted.stages['voice/speak']?.serviceMs ?? 0 },
  },
  lost: [],
};
const again = (more: Partial<Measured>, input: PlannerInput = plannerInput()) =>
  replan({ placement, measured: { ...asPredicted, ...more }, input, tolerance: TOLERANCE }, options());
const devicesOf = ({ pools }: typeof placement) =>
  pools.flatMap(({ replicas }) => replicas.flatMap(({ devices }) => devices));

describe('a placement in force', { timeout: 120_000 }, () => {
  it('stays without a proposal while all is as predicted', () => {
    const found = again({});
    expect(found).toMatchObject({ drift: [], proposal: null, problem: null });
    expect(replanText(placement, asPredicted, found)).toMatch(/Nothing has drifted\.$/);
  });

  it('says what of its error budget late runs and failed ones have spent, and has drifted where late ones spend more', () => {
    const spent = predicted.errorBudgets?.[0]?.spent ?? Number.NaN;
    const text = (measured: Measured) => replanText(placement, measured, again({}));
    const before = `\\(predicted ${Number((100 * spent).toFixed(100 * spent < 10 ? 2 : 0))} %\\)`;
    expect(text(asPredicted)).toMatch(
      new RegExp(`^Budget {2}p99: 5 of 990 runs took more than 400 ms: 51 % of its error budget spent ${before}$`, 'm'),
    );
    const failing = { ...asPredicted, failed: 10 };
    expect(text(failing)).toMatch(/5 of 990 runs took more than 400 ms, 1 % of the runs failed: 150 % of its error/);
    const late = (count: number, beyond: number) =>
      again({ budgets: [{ of: 'p99', share: 0.99, ms: 400, count, late: beyond }] }).drift;
    // Of 990 runs 9.9 may be late; 16 are by chance.
    expect(late(990, 16)).toEqual([]);
    expect(late(990, 17)).toEqual([
      { what: 'budget', of: 'p99', predicted: expect.closeTo(100 * spent, 1), measured: 171.7 },
    ]);
    // A failed run spends as much of it as a late one, but another placement would not mend it.
    expect(again({ failed: 30 }).drift).toEqual([]);
    expect(late(50, 4)).toEqual([]);
    expect(late(100, 3)).toEqual([]);
    expect(late(100, 4)).toHaveLength(1);
  });

  it('is planned again for the rate that is measured', () => {
    const found = again({ started: { voice: 4_000 }, services: {} }, plannerInput({ rate: 20 }));
    expect(found.drift).toEqual([{ what: 'rate', of: 'voice', predicted: placement.ratePerSecond, measured: 20 }]);
    expect(found.proposal?.ratePerSecond).toBeCloseTo(20, 0);
    expect(found.proposal?.costPerHour).toBeGreaterThan(placement.costPerHour);
    expect(found.refuseShare).toBe(0);
  });

  it('of several hours of a schedule has not drifted in a quieter one, and has in a busier one', () => {
    const stages = Object.fromEntries(Object.keys(predicted.stages).map((stage) => [stage, { calls: 200, meanMs: 1 }]));
    const measured = (started: number, more: Partial<Measured> = {}): Measured => ({
      ...asPredicted,
      started: { voice: started },
      services: {},
      ...more,
    });
    const input = plannerInput({ rate: 1 });
    const quiet = { placement, measured: measured(200, { stages }), input, tolerance: TOLERANCE };
    expect(replan({ ...quiet, scheduled: true }, options()).drift).toEqual([]);
    expect(replan(quiet, options()).drift[0]).toMatchObject({ what: 'rate', measured: 1 });
    const busy = { ...quiet, measured: measured(4_000), input: plannerInput({ rate: 20 }), scheduled: true };
    expect(replan(busy, options()).drift).toMatchObject([{ what: 'rate', measured: 20 }]);
  });

  it('is not told off for what few runs show by chance', () => {
    expect(again({ windowMs: 4_000, started: { voice: 14 } }).drift).toEqual([]);
    expect(again({ runs: { count: 12, p50Ms: 900, p95Ms: 9_000 } }).drift).toEqual([]);
    expect(again({ services: { tts: { calls: 3, meanMs: 900 } } }).drift).toEqual([]);
  });

  it('is expected to take longer for a call in the larger batches of a higher rate', () => {
    const meanMs = 1.25 * (predicted.stages['voice/speak']?.serviceMs ?? 0);
    const services = { tts: { calls: 500, meanMs } };
    expect(again({ services }).drift).toMatchObject([{ what: 'service', of: 'tts' }]);
    const faster = again({ services, started: { voice: 2_000 } }, plannerInput({ rate: 10 }));
    expect(faster.drift.map(({ what }) => what)).toEqual(['rate']);
  });

  it('is planned again with profiles that take as long as the servers say', () => {
    const meanMs = 2 * (predicted.stages['voice/speak']?.serviceMs ?? 0);
    const found = again({ services: { ...asPredicted.services, tts: { calls: 500, meanMs } } });
    expect(found.drift).toMatchObject([{ what: 'service', of: 'tts' }]);
    expect(found.proposal?.predicted.stages['voice/speak']?.serviceMs).toBeGreaterThan(
      1.3 * (predicted.stages['voice/speak']?.serviceMs ?? 0),
    );
    expect(found.proposal?.assumptions).toEqual([
      expect.stringMatching(/^tts: its calls take (1\.[89]|2\.[01])\d times/),
    ]);
  });

  it('says which stage and which percentile are late', () => {
    const found = again({
      runs: { count: 990, p50Ms: 200, p95Ms: 3_000 },
      stages: { ...asPredicted.stages, 'voice/speak': { calls: 200, meanMs: 2_000 } },
    });
    expect(found.drift.map(({ what, of }) => [what, of])).toEqual([
      ['stage', 'voice/speak'],
      ['p95', 'runs'],
    ]);
    // Nothing that the planner knows has changed: it is for the profiles to explain.
    expect(found.proposal?.version).toBe(placement.version);
    expect(replanText(placement, asPredicted, found)).toMatch(/profile again$/);
  });

  it('is planned again on the devices that are left, and says what it does there meanwhile', () => {
    const [gone = ''] = devicesOf(placement);
    const found = again({ services: {}, lost: [{ device: gone, because: 'no worker serves its queue' }] });
    expect(found.drift).toEqual([{ what: 'device', of: gone, because: 'no worker serves its queue' }]);
    expect(devicesOf(found.proposal ?? placement)).not.toContain(gone);
    expect(found.expected?.p99Ms).toBeGreaterThan(predicted.p99Ms);
    expect(Object.keys(found.expected?.devices ?? {})).not.toContain(gone);
    expect(replanText(placement, asPredicted, found)).toMatch(/^In force {2}predicted for now: \d/m);
  });

  it('is proposed the most that is left holds, with the share to refuse, where nothing holds all', () => {
    const lost = ['gpu1/0', 'gpu1/1', 'gpu2/2', 'gpu2/3'].map((device) => ({ device, because: 'gone' }));
    const found = again({ started: { voice: 8_000 }, services: {}, lost }, plannerInput({ rate: 40 }));
    expect(found.proposal?.objective).toBe('rate');
    const left = 1 - (found.proposal?.ratePerSecond ?? 0) / 40;
    expect(found.refuseShare).toBeCloseTo(left, 1);
    expect(found.refuseShare).toBeGreaterThan(0.3);
    expect(found.expected?.throughputPerSecond).toBeLessThan(35);
  });

  it('has no proposal, and says why, when nothing that is left can serve a pool', () => {
    const lost = plannerInput()
      .inventory.devices.slice(1)
      .map(({ id }) => ({ device: id, because: 'gone' }));
    const none = [...lost, { device: 'gpu1/0', because: 'gone' }];
    expect(again({ lost: none })).toMatchObject({
      expected: null,
      proposal: null,
      problem: expect.stringMatching(/^[A-Z_]+: /),
    });
  });
});
