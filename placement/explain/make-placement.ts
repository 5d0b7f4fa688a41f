import { MillraceError } from '../../pipelines/errors.js';
import type { PlacementDocument } from '../document/index.js';
import { isSpot } from '../inventory/index.js';
import {
  buildProblem,
  type PlannerInput,
  type Problem,
  type Searched,
  searchCheapest,
  searchFastest,
  type WaysOut,
  waysOut,
} from '../planner/index.js';
import { rateOf } from '../simulator/index.js';
import { spellObjective } from '../workload/index.js';
import { describe } from './describe.js';
import { naivePlacements } from './naive.js';
import { bestServing, type Serving, waysToServe } from './serving.js';
import { percent } from './words.js';

/** Share of the time limit for the search; the rest describes the placement, or says what would make one feasible. */
const SEARCHING = 0.8;

/** Models times devices up to which a search also starts from rules of thumb. */
const MOST_COPIES = 20_000;

export interface PlannerOptions {
  readonly objective: 'cost' | 'rate';
  readonly timeLimitMs: number;
  /** Clock in milliseconds with an arbitrary origin. */
  readonly clock: () => number;
  /** How LLMs may be served, by model. Absent: together, or as the input says. */
  readonly serve?: Readonly<Record<string, Serving>> | undefined;
}

/**
 * The cheapest placement that serves the load within the objective, or the one with the highest rate. Throws
 * `PLACEMENT_INFEASIBLE` with the ways out if none is found, and what `buildProblem` throws.
 */
export function makePlacement(input: PlannerInput, options: PlannerOptions): PlacementDocument {
  const { clock, timeLimitMs, objective, serve } = options;
  const ways = waysToServe(input, serve);
  const own = { ...input, apart: ways[0] };
  if (ways.length === 1) {
    const problem = buildProblem(own);
    const until = clock() + timeLimitMs;
    const searched = searchPlacement(own, problem, options, until);
    return describe(own, problem, searched, objective, stepsUntil(clock, until));
  }
  const until = clock() + timeLimitMs;
  const each = { objective, clock, timeLimitMs: timeLimitMs / ways.length };
  const chosen = bestServing(input, ways, objective, (problem) => searchOnce(problem, each));
  if (chosen === undefined) throw waysOutOf(own, buildProblem(own), until - clock(), clock);
  const { problem, searched, why } = chosen;
  return withReasons(describe(chosen.input, problem, searched, objective, stepsUntil(clock, until)), why);
}

/** Whether there is time for another step, as long as the longest so far: a step is not ended early. */
function stepsUntil(clock: () => number, until: number): () => boolean {
  let last = clock();
  let longest = 0;
  return () => {
    const now = clock();
    longest = Math.max(longest, now - last);
    last = now;
    return now + longest < until;
  };
}

/** The placement with what was found of other ways to serve: reasons are no part of its version. */
function withReasons(placement: PlacementDocument, why: Readonly<Record<string, string>>): PlacementDocument {
  const pools = placement.pools.map((pool) => {
    const said = why[pool.model];
    return said === undefined ? pool : { ...pool, reason: `${pool.reason}; ${said}` };
  });
  return { ...placement, pools };
}

/**
 * The search of `makePlacement` alone: what it finds is not described. Throws `PLACEMENT_INFEASIBLE` with the ways out.
 *
 * @param until when the time limit is up, by the clock; some of it is left for the description or the ways out
 */
export function searchPlacement(
  input: PlannerInput,
  problem: Problem,
  { objective, timeLimitMs, clock }: PlannerOptions,
  until = clock() + timeLimitMs,
): Searched {
  const searched = searchOnce(problem, { objective, timeLimitMs, clock });
  if (searched !== undefined) return searched;
  throw waysOutOf(input, problem, until - clock(), clock);
}

function searchOnce(problem: Problem, { objective, timeLimitMs, clock }: PlannerOptions): Searched | undefined {
  // Copies of every model on every device: of many, to make and to simulate them takes longer than any search.
  const isSmall = problem.pools.length * problem.devices.length <= MOST_COPIES;
  const seeds = () => (isSmall ? naivePlacements(problem).map(({ candidate }) => candidate) : []);
  const searching = { clock, timeLimitMs: SEARCHING * timeLimitMs, seeds };
  return objective === 'cost' ? searchCheapest(problem, searching) : searchFastest(problem, searching);
}

/** The error for a load that no placement carries, with what would make one feasible: found in so much time. */
function waysOutOf(input: PlannerInput, problem: Problem, leftMs: number, clock: () => number): MillraceError {
  const until = clock() + leftMs;
  const ways = waysOut(input, problem, (share) => until - clock() > (1 - share) * leftMs);
  return infeasible(ways, rateOf(problem.load), input);
}

function infeasible(
  found: WaysOut,
  rate: number,
  { objective, inventory, survive, pipelines }: PlannerInput,
): MillraceError {
  const ms = (value: number) => `${Math.ceil(value)} ms`;
  const { p95Ms, p99Ms, stages = [], goodput, worstMinute, errorBudget } = objective;
  const limit = [
    ...(p99Ms === undefined ? [] : [`p99 of ${ms(p99Ms)}`]),
    ...(p95Ms === undefined ? [] : [`p95 of ${ms(p95Ms)}`]),
    ...stages.map((each) => `${spellObjective(each)} of ${each.ms} ms`),
    ...(goodput === undefined ? [] : [`share of at least ${percent(goodput)} of the runs within all of it`]),
    ...(worstMinute === undefined ? [] : [`share of at least ${percent(worstMinute)} in each minute`]),
    ...(errorBudget === undefined ? [] : [`part of at most ${percent(errorBudget)} of each error budget spent`]),
  ].join(', a ');
  const ways = [
    found.ratePerSecond > 0
      ? `a rate of at most ${found.ratePerSecond.toFixed(2)} runs a second`
      : 'no rate is low enough on these devices',
    ...(found.p99Ms === undefined || (p99Ms ?? p95Ms) === undefined
      ? []
      : [`a p99 objective of ${ms(found.p99Ms)} for a short burst of this load`]),
    ...(found.shedShare < 1 ? [`refusing ${(100 * found.shedShare).toFixed(1)} % of the runs`] : []),
    ...found.devices.map(
      ({ kind, count, pricePerHour }) =>
        `${count} more ${kind} (${pricePerHour.toFixed(2)} ${inventory.currency} an hour)`,
    ),
  ];
  const lost = survive ?? (inventory.devices.some(isSpot) ? 'spot device' : undefined);
  const message = `infeasible, because no placement on the ${inventory.devices.length} devices was found that holds ${rate.toFixed(2)} runs a second with a ${limit}${lost === undefined ? '' : `, also after the loss of any one ${lost}`}${pipelines.length > 1 ? ', by each pipeline alone' : ''}. What would make it feasible: ${ways.join('; or ')}`;
  return new MillraceError('PLACEMENT_INFEASIBLE', message, {
    fields: ways.map((way) => ({ field: 'feasible with', message: way })),
  });
}
