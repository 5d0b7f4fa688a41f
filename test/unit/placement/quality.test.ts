import { beforeAll, describe, expect, it } from 'vitest';
import { readPlacement } from '../../../placement/document/index.js';
import { explanation, makePlacement, placementText } from '../../../placement/explain/index.js';
import { readInventory } from '../../../placement/inventory/index.js';
import { buildProblem, isPossible, type PlannerInput } from '../../../placement/planner/index.js';
import { qualityFloors } from '../../../placement/planner/quality.js';
import { CLUSTER, plannerInput, profileFile } from './placement-files.js';
import { refusal } from './refusal.js';

const SLOW = { timeout: 240_000 };

/** Variants of both models on both kinds: the better, the slower. */
const VARIANTS = [
  ['whisper', 'large', 0.96, 120],
  ['whisper', 'medium', 0.9, 70],
  ['whisper', 'small', 0.8, 25],
  ['tts', 'fine', 0.95, 150],
  ['tts', 'plain', 0.85, 40],
] as const;
const profilesOf = (kept: (model: string, variant: string) => boolean = () => true) =>
  VARIANTS.filter(([model, variant]) => kept(model, variant)).flatMap(([model, variant, quality, ms]) => [
    profileFile(model, 'a100', ms / 2, { variant, quality }),
    profileFile(model, 'l4', ms, { variant, quality }),
  ]);
const inputOf = (quality: number | undefined, profiles = profilesOf()): PlannerInput => ({
  ...plannerInput({ profiles, rate: 12, p99Ms: 700 }),
  quality,
});

function plan(input: PlannerInput, objective: 'cost' | 'rate' = 'cost') {
  let ticks = 0;
  return makePlacement(input, { objective, timeLimitMs: 4_000, clock: () => ticks++ });
}
const productOf = ({ pools }: ReturnType<typeof plan>) => pools.reduce((all, { quality }) => all * quality, 1);

/** Each combination of variants with the quality that it has together and its cost, planned alone. */
const combinations = VARIANTS.flatMap(([a, first, q]) =>
  VARIANTS.flatMap(([b, second, r]) => (a === 'whisper' && b === 'tts' ? [{ quality: q * r, first, second }] : [])),
);
let costs: readonly { readonly quality: number; readonly cost: number }[] = [];

describe('quality from end to end', SLOW, () => {
  beforeAll(() => {
    costs = combinations.map(({ quality, first, second }) => {
      const own = profilesOf((model, variant) => variant === (model === 'whisper' ? first : second));
      return { quality, cost: plan(inputOf(undefined, own)).costPerHour };
    });
  }, SLOW.timeout);

  it.each([0.7, 0.76, 0.81, 0.85, 0.9])('of %d costs what the cheapest variants do that have it together', (least) => {
    const found = plan(inputOf(least));
    expect(productOf(found)).toBeGreaterThanOrEqual(least);
    const cheapest = Math.min(...costs.filter(({ quality }) => quality >= least).map(({ cost }) => cost));
    expect(found.costPerHour).toBeLessThanOrEqual(cheapest + 1e-9);
    expect(found.bound).toBeLessThanOrEqual(cheapest + 1e-9);
  });

  it('may be lost in one stage and kept in another, unlike a floor of each', () => {
    const joint = plan(inputOf(0.76));
    const floor = plan({ ...inputOf(undefined), qualityFloor: 0.85 });
    expect(joint.costPerHour).toBeLessThanOrEqual(floor.costPerHour);
    expect(productOf(joint)).toBeGreaterThanOrEqual(0.76);
    expect(plan(inputOf(0.76), 'rate').pools.reduce((all, { quality }) => all * quality, 1)).toBeGreaterThanOrEqual(
      0.76,
    );
  });

  it('is said: demanded, and of each pipeline', () => {
    const found = plan(inputOf(0.85));
    expect(found.slo.quality).toBe(0.85);
    const voice = Number(productOf(found).toFixed(6));
    expect(found.quality).toEqual({ voice });
    expect(readPlacement(JSON.stringify(found)).quality).toEqual({ voice });
    const table = (_: readonly string[], rows: readonly (readonly (string | number)[])[]) =>
      rows.map((row) => row.join(' ')).join('\n');
    expect(placementText(found, readInventory(CLUSTER), table)).toMatch(
      /^Quality {5}voice 0\.\d+ from end to end, at least 0\.85$/m,
    );
    expect(explanation(found, undefined, table)).toMatch(/^quality of voice .*9\d % 0\.\d+ where 0\.85 is the least$/m);
    expect(plan(plannerInput()).quality).toBeUndefined();
  });

  it('leaves out variants that reach it with no others, and refuses what none reach', () => {
    const variants = (quality: number) =>
      buildProblem(inputOf(quality)).pools.map(({ configs }) => [...new Set(configs.map(({ variant }) => variant))]);
    expect(variants(0.9)).toEqual([['large'], ['fine']]);
    expect(variants(0.8)).toEqual([
      ['large', 'medium'],
      ['fine', 'plain'],
    ]);
    expect(refusal(() => buildProblem(inputOf(0.92)))).toEqual({
      code: 'PROFILE_MISSING',
      fields: [expect.stringMatching(/^--quality: the best variants of all stages of voice have 0\.912 together/)],
    });
  });

  it('is a condition of every candidate, and drafts begin with floors of which none can be lower', () => {
    const problem = buildProblem(inputOf(0.8));
    const floors = qualityFloors(problem);
    expect(floors.map((each) => each.join()).sort()).toEqual(['0.9,0.95', '0.96,0.85']);
    const configOf = (p: number, variant: string) =>
      problem.pools[p]?.configs.findIndex((config) => config.variant === variant) ?? -1;
    const of = (first: string, second: string) => ({
      configs: [configOf(0, first), configOf(1, second)],
      replicas: [
        { pool: 0, devices: [0] },
        { pool: 1, devices: [1] },
      ],
    });
    expect(isPossible(problem, of('large', 'plain'))).toBe(true);
    expect(isPossible(problem, of('medium', 'plain'))).toBe(false);
    expect(qualityFloors(buildProblem(inputOf(undefined)))).toEqual([[0, 0]]);
  });
});
