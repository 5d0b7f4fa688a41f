import { MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import {
  type Apart,
  buildProblem,
  cheapest,
  fastest,
  type PlannerInput,
  type Problem,
  type Searched,
} from '../planner/index.js';
import { nearest } from '../source/index.js';

/** How an LLM may be served: prompts and answers by the same replicas, by two pools, or as the planner finds cheaper. */
export type Serving = 'together' | 'apart' | 'either';

/** Combinations to search, at most: each is a search of its own. */
const MOST_WAYS = 8;
/** A rate that is higher by less is not: the precision of rates. */
const RATE_PRECISION = 0.01;

/**
 * The ways in which the models may be served, those that are served together first. Throws `INVALID_INPUT` for a model without
 * a stage, or too many ways.
 */
export function waysToServe(
  input: Omit<PlannerInput, 'load'>,
  serve: Readonly<Record<string, Serving>> = {},
): readonly Apart[] {
  const models = [...new Set(input.pipelines.flatMap(({ stages }) => stages.map(({ model }) => model)))];
  const refuse = (message: string) => invalidFields('INVALID_INPUT', [{ field: '--serve', message }]);
  let ways: Apart[] = [input.apart ?? {}];
  for (const [model, how] of Object.entries(serve)) {
    if (!models.includes(model)) throw refuse(`no stage uses a model "${model}"${nearest(model, models)}`);
    if (how === 'together') continue;
    const own = input.profiles.flatMap(({ value }) =>
      value.model === model && value.quality >= (input.qualityFloor ?? 0) ? [value.variant] : [],
    );
    const variants = [...new Set(own)];
    // The planner says why a model without a usable profile cannot be placed.
    const apart = (variants.length > 0 ? variants : ['default']).map((variant) => ({ [model]: variant }));
    const all: readonly Apart[] = how === 'either' ? [{}, ...apart] : apart;
    ways = all.flatMap((each) => ways.map((way) => ({ ...way, ...each })));
  }
  if (ways.length <= MOST_WAYS) return ways;
  throw refuse(`${ways.length} ways to serve these models are more than ${MOST_WAYS}: fix some as together or apart`);
}

/** The best of several ways to serve, with what is known of the others. */
interface Chosen {
  readonly input: PlannerInput;
  readonly problem: Problem;
  readonly searched: Searched;
  /** By model served apart, or that might be: why. */
  readonly why: Readonly<Record<string, string>>;
}

/** What became of a way: its placement, or only a bound, if it cannot be better or none was found. */
interface Tried {
  readonly way: Apart;
  readonly found?: Omit<Chosen, 'why'>;
  /** Of the cost, or of the rate; absent: it cannot be placed at all. */
  readonly bound?: number;
  /** The bound excludes that it is better. */
  readonly excluded?: true;
  /** Why it cannot be placed at all. */
  readonly refusal?: string;
}

/** Whether a cost, or a rate, is better than another by more than what it is known to. */
const isBetter = (objective: 'cost' | 'rate', a: number, b: number): boolean =>
  objective === 'cost' ? a < b * (1 - 1e-6) - 1e-9 : a > b * (1 + RATE_PRECISION);

/**
 * Searches each way, and takes the best; of equal ones the first. A way whose bound is no better than a placement at hand is not
 * searched. The bound of the result is valid for all ways. Undefined if no way has a placement; throws what `buildProblem`
 * throws if it does so for every way.
 *
 * @param search the placement of a problem; undefined: none was found
 */
export function bestServing(
  input: PlannerInput,
  ways: readonly Apart[],
  objective: 'cost' | 'rate',
  search: (problem: Problem) => Searched | undefined,
): Chosen | undefined {
  let best: Omit<Chosen, 'why'> | undefined;
  let refusal: MillraceError | undefined;
  const tried: Tried[] = [];
  for (const way of ways) {
    const own = { ...input, apart: way };
    let problem: Problem;
    try {
      problem = buildProblem(own);
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error;
      refusal ??= error;
      tried.push({ way, refusal: error.message });
      continue;
    }
    const bound = objective === 'cost' ? cheapest(problem).value : fastest(problem);
    if (best !== undefined && !isBetter(objective, bound, best.searched.value)) {
      tried.push({ way, bound, excluded: true });
      continue;
    }
    const searched = search(problem);
    if (searched === undefined) {
      tried.push({ way, bound });
      continue;
    }
    const found = { input: own, problem, searched };
    tried.push({ way, bound: searched.bound, found });
    if (best === undefined || isBetter(objective, searched.value, best.searched.value)) best = found;
  }
  if (best === undefined) {
    if (refusal !== undefined && tried.every(({ bound }) => bound === undefined)) throw refusal;
    return undefined;
  }
  const { value, optimal } = best.searched;
  const others = tried.filter(({ way }) => way !== best?.input.apart);
  const bounds = tried.flatMap(({ bound }) => bound ?? []);
  const bound = objective === 'cost' ? Math.min(value, ...bounds) : Math.max(value, ...bounds);
  const isOptimal = others.every(
    (other) => other.bound === undefined || other.found?.searched.optimal || !isBetter(objective, other.bound, value),
  );
  const searched = { ...best.searched, bound, optimal: optimal && isOptimal };
  return { ...best, searched, why: reasons(best, others, objective) };
}

/** By model: why it is served as it is, from what became of the other way. */
function reasons({ input, problem }: Omit<Chosen, 'why'>, others: readonly Tried[], objective: 'cost' | 'rate') {
  const models = new Set([...Object.keys(input.apart ?? {}), ...others.flatMap(({ way }) => Object.keys(way))]);
  return Object.fromEntries(
    [...models].flatMap((model) => {
      const isApart = input.apart?.[model] !== undefined;
      const other = others.filter(({ way }) => (way[model] !== undefined) !== isApart);
      if (other.length === 0) return [];
      const name = isApart ? 'together' : 'apart';
      const said = saidOf(other, name, objective, problem.inventory.currency);
      return [[model, `${isApart ? 'apart' : 'together'}, because ${said}`] as const];
    }),
  );
}

function saidOf(tried: readonly Tried[], name: string, objective: 'cost' | 'rate', currency: string): string {
  const isCost = objective === 'cost';
  const best = (values: readonly number[]) => {
    const value = isCost ? Math.min(...values) : Math.max(...values);
    return isCost ? `${value.toFixed(2)} ${currency} an hour` : `${value.toFixed(2)} times this load`;
  };
  const values = tried.flatMap(({ found }) => found?.searched.value ?? []);
  if (values.length > 0) {
    return `the ${isCost ? 'cheapest' : 'fastest'} placement found ${name} ${isCost ? 'costs' : 'carries'} ${best(values)}`;
  }
  // The first way changes this model alone: its refusal is not another model's.
  const [first] = tried;
  if (first?.refusal !== undefined && tried.every(({ refusal }) => refusal !== undefined))
    return `it cannot be served ${name}: ${first.refusal}`;
  const bounds = tried.flatMap(({ bound }) => (Number.isFinite(bound) ? [bound as number] : []));
  if (bounds.length === 0) return `these devices cannot serve it ${name}`;
  if (!tried.every(({ excluded }) => excluded)) return `no placement ${name} was found that keeps the objective`;
  return `${name} it ${isCost ? 'costs at least' : 'carries at most'} ${best(bounds)}`;
}
