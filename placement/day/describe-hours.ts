import type { PlacementDocument, ScheduledHour } from '../document/index.js';
import { describe, predictedRunsOf } from '../explain/index.js';
import { buildProblem, cheapest, costOf, Judge, type PlannerInput } from '../planner/index.js';
import { rateOf } from '../simulator/index.js';
import type { HourProblem, SearchLimits } from './candidates.js';
import type { Hour } from './demand.js';
import { type Placed, transferred } from './switching.js';

/** Most warnings of a schedule: as many as are read. */
const MOST_WARNINGS = 10;

/** By hour: the prediction for its placement. */
export function predictHours(
  hours: readonly Hour[],
  placed: readonly Placed[],
  problemOf: (hour: Hour) => HourProblem,
): readonly ScheduledHour['predicted'][] {
  const known = new Map<string, Map<Placed, ScheduledHour['predicted']>>();
  for (const key of new Set(hours.map((hour) => hour.key))) {
    const own = new Map<Placed, ScheduledHour['predicted']>();
    let judge: Judge | undefined;
    for (const [h, hour] of hours.entries()) {
      const each = placed[h];
      if (hour.key !== key || each === undefined || own.has(each)) continue;
      const { problem } = problemOf(hour);
      judge ??= new Judge(problem);
      const candidate = transferred(each, problem) ?? each.candidate;
      own.set(each, predictedRunsOf(problem, judge.see(candidate), rateOf(problem.load)));
    }
    known.set(key, own);
  }
  return hours.map((hour, h) => known.get(hour.key)?.get(placed[h] as Placed) as ScheduledHour['predicted']);
}

/**
 * The placements as documents, each for the busiest of its hours and with the prices of the inventory, where reserved devices
 * cost what they cost.
 */
export function describePlacements(
  input: Omit<PlannerInput, 'load'>,
  busiest: ReadonlyMap<Placed, Hour>,
  problemOf: (hour: Hour) => HourProblem,
  { clock, until }: SearchLimits,
): ReadonlyMap<Placed, PlacementDocument> {
  const documents = new Map<Placed, PlacementDocument>();
  for (const [placed, hour] of busiest) {
    const ends = clock() + Math.max(0, until - clock()) / (busiest.size - documents.size);
    const own: PlannerInput = { ...input, load: problemOf(hour).input.load };
    const problem = buildProblem(own);
    const candidate = transferred(placed, problem) ?? placed.candidate;
    const value = costOf(problem, candidate);
    const bound = Math.min(value, cheapest(problem).value);
    const found = { candidate, value, bound, optimal: bound >= value - 1e-9, simulations: 0 };
    documents.set(
      placed,
      describe(own, problem, found, 'cost', () => clock() < ends),
    );
  }
  return documents;
}

/** What to know of the hours' loads, each once, with its hours. */
export function warningsOf(hours: readonly Hour[], problemOf: (hour: Hour) => HourProblem): readonly string[] {
  const said = new Map<string, number[]>();
  for (const [h, hour] of hours.entries()) {
    for (const warning of problemOf(hour).problem.warnings) said.set(warning, [...(said.get(warning) ?? []), h]);
  }
  const all = [...said].map(([warning, own]) =>
    own.length === hours.length ? warning : `${own.length === 1 ? 'hour' : 'hours'} ${own.join(', ')}: ${warning}`,
  );
  const more = all.length - MOST_WARNINGS;
  return more > 0 ? [...all.slice(0, MOST_WARNINGS), `and ${more} more of single hours`] : all;
}
