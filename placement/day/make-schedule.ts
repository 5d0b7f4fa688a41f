import { MillraceError } from '../../pipelines/errors.js';
import { type ScheduleDocument, type ScheduledHour, sealSchedule } from '../document/index.js';
import { makeLoad } from '../explain/index.js';
import { isSpot } from '../inventory/index.js';
import { buildProblem, horizonMs, type PlannerInput } from '../planner/index.js';
import { autoscalingOf, growthOf, type InUse } from './autoscaling.js';
import { reservedPerHour, twoLost, withReservedFree } from './billing.js';
import { type Candidates, type HourProblem, levelsOf, searchCandidates } from './candidates.js';
import { type Choices, cheapestPath, fewestSwitches, type Path } from './cheapest-path.js';
import { distinctHours, type Hour, totalRate } from './demand.js';
import { describePlacements, predictHours, warningsOf } from './describe-hours.js';
import { type JudgedHour, judgeHours } from './judge-hours.js';
import { changeBetween, type Placed, type Server, type SwitchingCosts, transferred } from './switching.js';

export interface DayOptions extends SwitchingCosts {
  readonly mostSwitches?: number | undefined;
  /** The last hour is followed by the first again. */
  readonly repeats: boolean;
  /** By column: the size of every run that the demand does not state. */
  readonly sizes?: Readonly<Record<string, number>> | undefined;
  readonly timeLimitMs: number;
  /** Clock in milliseconds with an arbitrary origin. */
  readonly clock: () => number;
}

/** Everything that a schedule is made from, but the demand. */
type DayInput = Omit<PlannerInput, 'load'>;

/** Shares of the time by the end of each part. */
const UNTIL = { searched: 0.6, judged: 0.8, scaled: 0.85, described: 1 } as const;

/**
 * The cheapest schedule of a day: a placement for each hour, chosen among those that the planner finds for the day's levels of
 * demand, with the cost of changing between them. Exact for these candidates. Throws `PLACEMENT_INFEASIBLE` if an hour has no
 * placement or the changes that are needed are not allowed, and what `buildProblem` throws.
 */
export function makeSchedule(input: DayInput, hours: readonly Hour[], options: DayOptions): ScheduleDocument {
  const { clock, timeLimitMs, repeats, mostSwitches } = options;
  const start = clock();
  const by = (share: number) => ({ clock, until: start + share * timeLimitMs });
  const problemOf = hourProblems(input, hours, options.sizes);
  const found = searchCandidates(levelsOf(hours), problemOf, (level) => hours.includes(level), by(UNTIL.searched));
  const distinct = distinctHours(hours);
  const { judged, complete } = judgeHours(distinct, problemOf, found, by(UNTIL.judged));
  const of = (hour: Hour) => judged.get(hour.key) as JudgedHour;
  const choices: Choices = {
    hourly: hours.map((hour) => found.all.map((_, c) => of(hour).costs[c] ?? Number.POSITIVE_INFINITY)),
    switching: switchingCosts(found, options),
    mostSwitches,
    repeats,
  };
  const path = cheapestPath(choices);
  if (path === undefined) throw noSchedule(choices);
  const placed = path.chosen.map((c) => found.all[c] as Placed);
  const predicted = predictHours(hours, placed, problemOf);
  const busiest = busiestHours(hours, placed);
  const coldStartS = coldStarts(placed, options);
  const autoscaling = autoscalingOf(
    [...busiest].map(([each, hour]) => inUse(each, problemOf(hour))),
    growthOf(hours, repeats),
    1000 * Math.max(0, ...Object.values(coldStartS)),
    () => clock() < by(UNTIL.scaled).until,
  );
  const documents = describePlacements(input, busiest, problemOf, by(UNTIL.described));
  const reserved = reservedPerHour(input.inventory);
  const scheduled = hours.map((hour, h) => {
    const to = placed[h] as Placed;
    const from = h > 0 || repeats ? (placed.at(h - 1) as Placed) : to;
    return {
      hour: h,
      rates: Object.fromEntries(input.pipelines.map(({ name }, p) => [name, round(hour.rates[p] ?? 0)])),
      placement: documents.get(to)?.version ?? '',
      costPerHour: round(reserved + (choices.hourly[h]?.[path.chosen[h] ?? 0] ?? 0)),
      predicted: predicted[h] as ScheduledHour['predicted'],
      change: changed(from, to, options),
    };
  });
  const placements = [...new Map([...documents.values()].map((each) => [each.version, each])).values()];
  const first = placements[0];
  return sealSchedule({
    format: 1,
    currency: input.inventory.currency,
    slo: first?.slo ?? {},
    switching: {
      coldStartS,
      costPerSwitch: options.perSwitch,
      ...(mostSwitches !== undefined && { mostSwitches }),
      repeats,
    },
    cost: costsOf(choices, path, hours.map(of), reserved * hours.length),
    switches: path.switches,
    ...(input.inventory.devices.some(isSpot) && { spotRisk: round(riskOf(placed)) }),
    hours: scheduled,
    autoscaling,
    placements,
    warnings: [...warningsOf(hours, problemOf), ...(complete ? [] : [CUT_SHORT])],
  });
}

/** What the day costs, and what it is compared with. */
function costsOf(
  choices: Choices,
  path: Path,
  judged: readonly JudgedHour[],
  reserved: number,
): ScheduleDocument['cost'] {
  const { hourly } = choices;
  const used = path.chosen.reduce((sum, c, h) => sum + (hourly[h]?.[c] ?? 0), 0);
  const one = cheapestPath({ ...choices, mostSwitches: 0 });
  const optima = judged.reduce((sum, { costs }) => sum + Math.min(...costs), 0);
  const bounds = judged.reduce((sum, { bound }) => sum + bound, 0);
  return {
    total: round(reserved + path.cost),
    reserved: round(reserved),
    used: round(used),
    switching: round(Math.max(0, path.cost - used)),
    onePlacement: one ? round(reserved + one.cost) : null,
    hourlyOptima: round(reserved + optima),
    bound: round(reserved + bounds),
  };
}

const CUT_SHORT =
  'the time limit ended the judgement of some placements in some hours, which are not chosen there: --time-limit allows more';

const round = (value: number): number => Number(value.toFixed(6));

/** Hours as the planner's problems, each made once. */
function hourProblems(
  input: DayInput,
  hours: readonly Hour[],
  sizes: DayOptions['sizes'],
): (hour: Hour) => HourProblem {
  const known = new Map<string, HourProblem>();
  const inventory = withReservedFree(input.inventory);
  return (hour) => {
    const before = known.get(hour.key);
    if (before) return before;
    const h = hours.findIndex(({ key }) => key === hour.key);
    const name = h < 0 ? 'the peak of all pipelines at once' : `hour ${h}`;
    const load = makeLoad(hour.arriving, horizonMs(input.objective), input.seed ?? 1, sizes);
    const made = { ...input, inventory, load };
    const next = { name, input: made, problem: built(made, name) };
    known.set(hour.key, next);
    return next;
  };
}

/** What depends on the runs of an hour. */
const OF_AN_HOUR: ReadonlySet<string> = new Set(['INVALID_INPUT', 'SLO_UNREACHABLE']);

/** Throws what `buildProblem` throws; the mistakes that depend on the hour's runs name the hour. */
function built(input: PlannerInput, name: string) {
  try {
    return buildProblem(input);
  } catch (error) {
    if (!(error instanceof MillraceError) || !OF_AN_HOUR.has(error.code)) throw error;
    throw new MillraceError(error.code, `${name}: ${error.message}`, error.details, { cause: error });
  }
}

const switchingCosts = ({ all }: Candidates, costs: SwitchingCosts): number[][] =>
  all.map((from) => all.map((to) => changeBetween(from, to, costs)?.cost ?? Number.POSITIVE_INFINITY));

/** Says how many changes the day needs, or that none is possible. */
function noSchedule(choices: Choices): MillraceError {
  const { mostSwitches } = choices;
  const needed = mostSwitches === undefined ? undefined : fewestSwitches(choices);
  const message =
    needed === undefined
      ? 'no sequence of placements serves all hours, because the servers before a change and those after it do not fit the devices together: add a device, on which new servers can start'
      : `no schedule with at most ${mostSwitches} changes serves all hours: allow ${needed}`;
  return new MillraceError('PLACEMENT_INFEASIBLE', `infeasible: ${message}`, {
    fields: [{ field: needed === undefined ? '--cluster' : '--max-switches', message }],
  });
}

/** Each placement of the schedule with the hour of its highest demand. */
function busiestHours(hours: readonly Hour[], placed: readonly Placed[]): ReadonlyMap<Placed, Hour> {
  const busiest = new Map<Placed, Hour>();
  for (const [h, each] of placed.entries()) {
    const hour = hours[h];
    const before = busiest.get(each);
    if (hour && (before === undefined || totalRate(hour) > totalRate(before))) busiest.set(each, hour);
  }
  return busiest;
}

/** A placement as a candidate of an hour that it serves. */
const inUse = (placed: Placed, { problem }: HourProblem): InUse => ({
  problem,
  candidate: transferred(placed, problem) ?? placed.candidate,
});

/** Seconds by model. */
const coldStarts = (placed: readonly Placed[], { coldStartMs }: SwitchingCosts): Record<string, number> =>
  Object.fromEntries((placed[0]?.problem.pools ?? []).map(({ model }) => [model, coldStartMs(model) / 1000]));

/** The change to an hour's placement; null if it is that of the hour before. */
function changed(from: Placed, to: Placed, costs: SwitchingCosts) {
  const change = from === to ? undefined : changeBetween(from, to, costs);
  if (change === undefined) return null;
  const spelled = (servers: readonly Server[]) =>
    servers.map(({ model, devices }) => ({ model, devices: devices.map((d) => to.problem.devices[d]?.id ?? '') }));
  return {
    start: spelled(change.starts),
    stop: spelled(change.stops),
    startS: change.coldStartMs / 1000,
    cost: round(change.cost),
  };
}

/** Probability that two spot devices in use are lost in one of the hours. */
const riskOf = (placed: readonly Placed[]): number => 1 - placed.reduce((kept, each) => kept * (1 - twoLost(each)), 1);
