import { describe, expect, it } from 'vitest';
import { Faults } from '../../../bench/chaos/faults.js';
import { planKills, VICTIMS } from '../../../bench/chaos/kills.js';
import { Seeded } from '../../../bench/chaos/seeded.js';

const faults = (rate: number, seed: number) => new Faults(rate, new Seeded(seed, 'test'));

describe('faults by a seed', () => {
  it.each([1, 4])('strike 5 %% of the calls when each takes %i along', (open) => {
    const all = faults(0.05, 7);
    for (let i = 0; i < 20_000; i++) if (all.next(open)) all.strike(open);
    expect(all.struck / all.seen).toBeGreaterThan(0.049);
    expect(all.struck / all.seen).toBeLessThan(0.051);
  });

  it('are the same for the same seed and others for another', () => {
    const drawn = (seed: number) => {
      const all = faults(0.2, seed);
      return Array.from({ length: 200 }, () => {
        const fault = all.next(1);
        if (fault) all.strike(1);
        return fault;
      });
    };
    expect(drawn(1)).toEqual(drawn(1));
    expect(drawn(1)).not.toEqual(drawn(2));
    expect(new Set(drawn(1).map((fault) => fault?.kind))).toEqual(new Set([undefined, 'refuse', 'cut', 'stall']));
  });

  it('do not come where there are none to be', () => {
    const none = faults(0, 1);
    expect(Array.from({ length: 1_000 }, () => none.next(1)).filter(Boolean)).toEqual([]);
  });
});

describe('the plan of kills', () => {
  it('kills every victim once a round, spread over all runs', () => {
    const plan = planKills(200, 3, new Seeded(1, 'kills'));
    for (const victim of VICTIMS) expect(plan.filter((kill) => kill.victim === victim)).toHaveLength(3);
    const moments = plan.map(({ after }) => after);
    expect(moments).toEqual(moments.toSorted((a, b) => a - b));
    expect(moments[0]).toBeLessThan(200 / 15);
    expect(moments.at(-1)).toBeGreaterThanOrEqual(200 - 200 / 15 - 1);
    expect(moments.at(-1)).toBeLessThan(200);
  });

  it('differs with the seed', () => {
    expect(planKills(200, 3, new Seeded(1, 'kills'))).not.toEqual(planKills(200, 3, new Seeded(2, 'kills')));
  });
});
