import { describe, expect, it } from 'vitest';
import { type Choices, cheapestPath, fewestSwitches } from '../../../../placement/day/cheapest-path.js';
import { drawOf } from '../../../../placement/simulator/index.js';

/** Random choices: few hours and candidates, costs in steps so that some are equal, some hours not served, some changes impossible. */
function instance(seed: number): Choices {
  let turn = 0;
  const draw = () => drawOf(seed, turn++, 91);
  const whole = (low: number, high: number) => low + Math.floor(draw() * (high - low + 1));
  const candidates = whole(1, 4);
  const costs = (chance: number) => (draw() < chance ? Number.POSITIVE_INFINITY : whole(0, 12) / 4);
  return {
    hourly: Array.from({ length: whole(1, 5) }, () => Array.from({ length: candidates }, () => costs(0.2))),
    switching: Array.from({ length: candidates }, (_, from) =>
      Array.from({ length: candidates }, (__, to) => (from === to ? 0 : costs(0.15))),
    ),
    repeats: draw() < 0.5,
    mostSwitches: draw() < 0.5 ? whole(0, 5) : undefined,
  };
}

const switchesOf = (chosen: readonly number[], repeats: boolean) =>
  chosen.filter((c, h) => (h > 0 ? c !== chosen[h - 1] : repeats && c !== chosen.at(-1))).length;

function costOf({ hourly, switching, repeats, mostSwitches }: Choices, chosen: readonly number[]): number {
  if (switchesOf(chosen, repeats) > (mostSwitches ?? Number.POSITIVE_INFINITY)) return Number.POSITIVE_INFINITY;
  return chosen.reduce((sum, c, h) => {
    const from = h > 0 ? chosen[h - 1] : repeats ? chosen.at(-1) : c;
    return sum + (hourly[h]?.[c] ?? 0) + (switching[from ?? c]?.[c] ?? 0);
  }, 0);
}

/** All sequences, one after the other. */
function sequences({ hourly }: Choices): readonly (readonly number[])[] {
  const count = hourly[0]?.length ?? 0;
  let all: readonly (readonly number[])[] = [[]];
  for (const _ of hourly) all = all.flatMap((list) => Array.from({ length: count }, (__, c) => [...list, c]));
  return all;
}

describe('the cheapest choice for each hour', () => {
  it('costs what the best of all sequences does, in 600 random instances', () => {
    let none = 0;
    for (let seed = 1; seed <= 600; seed += 1) {
      const choices = instance(seed);
      const path = cheapestPath(choices);
      const least = Math.min(...sequences(choices).map((chosen) => costOf(choices, chosen)));
      if (path === undefined) {
        none += 1;
        expect(least, `seed ${seed}`).toBe(Number.POSITIVE_INFINITY);
        continue;
      }
      expect(path.cost, `seed ${seed}`).toBeCloseTo(least, 9);
      expect(costOf(choices, path.chosen), `seed ${seed}`).toBeCloseTo(least, 9);
      expect(path.switches, `seed ${seed}`).toBe(switchesOf(path.chosen, choices.repeats));
    }
    expect(none).toBeGreaterThan(5);
    expect(none).toBeLessThan(300);
  });

  it('costs no less with fewer changes allowed, with dearer changes or with fewer candidates, and no less than each hour alone', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const choices = { ...instance(seed), mostSwitches: undefined };
      const { hourly, switching } = choices;
      const cost = (more: Partial<Choices>) => cheapestPath({ ...choices, ...more })?.cost ?? Number.POSITIVE_INFINITY;
      const limits = [undefined, 5, 4, 3, 2, 1, 0].map((mostSwitches) => cost({ mostSwitches }));
      for (const [i, limited] of limits.entries())
        expect(limited, `seed ${seed}`).toBeGreaterThanOrEqual((limits[i - 1] ?? 0) - 1e-9);
      const dearer = switching.map((row, from) => row.map((each, to) => (from === to ? 0 : each + 0.3)));
      expect(cost({ switching: dearer }), `seed ${seed}`).toBeGreaterThanOrEqual(cost({}) - 1e-9);
      const fewer = hourly.map((costs) => costs.map((each, c) => (c === 0 ? Number.POSITIVE_INFINITY : each)));
      expect(cost({ hourly: fewer }), `seed ${seed}`).toBeGreaterThanOrEqual(cost({}) - 1e-9);
      const alone = hourly.reduce((sum, costs) => sum + Math.min(...costs), 0);
      expect(cost({}), `seed ${seed}`).toBeGreaterThanOrEqual(alone - 1e-9);
    }
  });

  it('needs as few changes as the best of all sequences, whatever they cost', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const choices = { ...instance(seed), mostSwitches: undefined };
      const served = sequences(choices).filter((chosen) => costOf(choices, chosen) < Number.POSITIVE_INFINITY);
      const counts = served.map((chosen) => switchesOf(chosen, choices.repeats));
      expect(fewestSwitches(choices), `seed ${seed}`).toBe(counts.length > 0 ? Math.min(...counts) : undefined);
    }
  });

  it('does not change where nothing is gained', () => {
    const same = [1, 1, 1];
    const free = same.map(() => same.map(() => 0));
    const gains = { hourly: [same, [1, 1, 0.5], same], switching: free, repeats: false };
    expect(cheapestPath(gains)).toEqual({ chosen: [2, 2, 2], cost: 2.5, switches: 0 });
    expect(cheapestPath({ hourly: [same, same, same], switching: free, repeats: true })).toMatchObject({ switches: 0 });
  });

  it('takes a week of hours and dozens of candidates', () => {
    const candidates = Array.from({ length: 24 }, (_, c) => c);
    const hourly = Array.from({ length: 168 }, (_, h) => candidates.map((c) => 1 + ((h * 7 + c * 3) % 11)));
    const switching = candidates.map((from) => candidates.map((to) => (from === to ? 0 : 2)));
    const path = cheapestPath({ hourly, switching, mostSwitches: 20, repeats: true });
    expect(path?.chosen).toHaveLength(168);
    expect(path?.switches).toBeLessThanOrEqual(20);
  });
});
