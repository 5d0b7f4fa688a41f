import { type Candidate, configOf, endToEnd, type PlannerInput, type Problem } from '../planner/index.js';

/** What a placement's document says of whole pipelines. */

/** Calls of the stages that do not have the same number of them in every run. */
export function callsOf({ stages, stageNames }: Problem) {
  const means = stages.flatMap(({ fanOut }, v) =>
    fanOut && fanOut.mean > 0 ? [[stageNames[v] ?? '', fanOut.mean] as const] : [],
  );
  return means.length > 0 ? { calls: Object.fromEntries(means) } : {};
}

/** The quality of each pipeline, unless all variants have the quality 1. */
export function qualityOf({ pipelines }: PlannerInput, problem: Problem, candidate: Candidate) {
  const of = (pool: number) => configOf(problem, candidate, pool)?.quality ?? 1;
  if (problem.pools.every((_, pool) => of(pool) === 1)) return {};
  const each = pipelines.map(({ name }, p) => {
    const pools = problem.stages.flatMap(({ pipeline, pool }) => (pipeline === p ? [pool] : []));
    return [name, Number(endToEnd(pools, of).toFixed(6))] as const;
  });
  return { quality: Object.fromEntries(each) };
}
