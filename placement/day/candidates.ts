import { MillraceError } from '../../pipelines/errors.js';
import { searchPlacement } from '../explain/index.js';
import {
  type Candidate,
  costOf,
  Judge,
  type PlannerInput,
  type Problem,
  replicasByDevice,
  type Searched,
} from '../planner/index.js';
import { alignedIfHeld } from './align.js';
import { distinctHours, type Hour, peakOf, totalRate } from './demand.js';
import { type Placed, placedOf, serversKey, transferred } from './switching.js';

/** Most levels of demand that placements are searched for; hours between two are served by those of the higher one. */
const MOST_LEVELS = 8;
/** Most placements of a level of which the level below is made: the planner's, and the cheapest of the others. */
const MOST_ABOVE = 2;

/** The problem of an hour, and the input that it is made from. */
export interface HourProblem {
  /** As errors call it: `hour 7`. */
  readonly name: string;
  readonly input: PlannerInput;
  readonly problem: Problem;
}

export interface SearchLimits {
  readonly clock: () => number;
  /** When the search must have ended, by the clock. */
  readonly until: number;
}

/** Candidates in the order in which they were found: the first is for the peak, if any placement carries it. */
export class Candidates {
  readonly #known = new Map<string, Placed>();
  readonly all: Placed[] = [];
  /** By the key of an hour that was searched for itself: no placement costs less in it. */
  readonly bounds = new Map<string, number>();

  /** Adds a candidate unless its servers are known; returns it or the known one. */
  add(placed: Placed): Placed {
    const key = serversKey(placed);
    const known = this.#known.get(key);
    if (known) return known;
    this.#known.set(key, placed);
    this.all.push(placed);
    return placed;
  }
}

/**
 * The levels of demand of a day, the highest first: the peak, and evenly chosen ones of its distinct hours, the quietest
 * included.
 */
export function levelsOf(hours: readonly Hour[]): readonly Hour[] {
  const peak = peakOf(hours);
  const others = distinctHours(hours)
    .filter(({ key }) => key !== peak.key)
    .sort((a, b) => totalRate(b) - totalRate(a));
  const most = MOST_LEVELS - 1;
  if (others.length <= most) return [peak, ...others];
  const step = (others.length - 1) / (most - 1);
  return [peak, ...Array.from({ length: most }, (_, i) => others[Math.round(i * step)] as Hour)];
}

/**
 * Candidates for a day: for each level of demand the planner's placement, on the devices of that for the level above as far as
 * it can be, and the placements for the level above without the devices that this one can do without, which only stops servers.
 */
export function searchCandidates(
  levels: readonly Hour[],
  problemOf: (hour: Hour) => HourProblem,
  isHour: (level: Hour) => boolean,
  { clock, until }: SearchLimits,
): Candidates {
  const found = new Candidates();
  let above: readonly Placed[] = [];
  for (const [i, level] of levels.entries()) {
    const share = Math.max(i === 0 ? PEAK : 0, 1 / (levels.length - i));
    const ends = clock() + Math.max(0, until - clock()) * share;
    const of = problemOf(level);
    const { problem } = of;
    const judge = new Judge(problem);
    const carried = above.flatMap((placed) => {
      const candidate = transferred(placed, problem);
      return candidate && judge.holds(candidate) ? [candidate] : [];
    });
    const optional = carried.length > 0 || !isHour(level);
    const own = searchedAlone(of, clock, SEARCHING * (ends - clock()), optional);
    if (own) found.bounds.set(level.key, own.bound);
    const [nearest] = above;
    const next = own ? [nearest ? alignedIfHeld(judge, own.candidate, nearest) : own.candidate] : [];
    const fewer = carried
      .map((candidate) => withFewerDevices(problem, judge, candidate, () => clock() < ends))
      .sort((a, b) => costOf(problem, a) - costOf(problem, b));
    const added = [...next, ...fewer].map((candidate) => found.add(placedOf(problem, candidate)));
    if (added.length > 0) above = [...new Set(added)].slice(0, MOST_ABOVE);
  }
  return found;
}

/** Least share of the time for the peak, whose placement those of all other levels are made from. */
const PEAK = 0.4;
/** Share of a level's time for the search of its own placement. */
const SEARCHING = 0.7;

/** The search for one demand alone. Undefined if nothing is found and it is `optional`, else `PLACEMENT_INFEASIBLE`. */
export function searchedAlone(
  { name, input, problem }: HourProblem,
  clock: () => number,
  timeLimitMs: number,
  optional: boolean,
): Searched | undefined {
  try {
    return searchPlacement(input, problem, { objective: 'cost', timeLimitMs, clock });
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'PLACEMENT_INFEASIBLE') throw error;
    if (optional) return undefined;
    throw new MillraceError(error.code, `${name}: ${error.message}`, error.details, { cause: error });
  }
}

/** The candidate without those devices that it can do without, the dearest first. What costs nothing more stays. */
function withFewerDevices(problem: Problem, judge: Judge, start: Candidate, goOn: () => boolean): Candidate {
  const price = (device: number) => problem.devices[device]?.pricePerHour ?? 0;
  const used = [...replicasByDevice(start).keys()].filter((device) => price(device) > 0);
  let best = start;
  for (const device of used.sort((a, b) => price(b) - price(a) || b - a)) {
    if (!goOn()) break;
    const replicas = best.replicas.filter(({ devices }) => !devices.includes(device));
    const next = { configs: best.configs, replicas };
    if (costOf(problem, next) < costOf(problem, best) && judge.holds(next)) best = next;
  }
  return best;
}
