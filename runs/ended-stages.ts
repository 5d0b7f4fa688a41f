import { allSteps, type Graph, graphsOf, type Plan, readsOf, type Step } from '../pipelines/plan/index.js';
import type { RunContext, StageRecord } from '../pipelines/run/index.js';

/**
 * The stages of an ended run whose results are final: the run that resumes it takes all of them, failures included. Whether a loop or a race
 * would have gone on is known only if a step behind it has begun.
 */
export function endedStages(plan: Plan, rows: readonly StageRecord[]): string[] {
  const byId = new Map(rows.map((row) => [row.stage, row]));
  const isRead = new Set([...allSteps(plan)].filter((step) => hasBegun(step, byId)).flatMap(readsOf));
  return ofGraph(plan, (id) => isRead.has(id), byId);
}

type Rows = ReadonlyMap<string, StageRecord>;

function ofGraph({ stages }: Graph, isOver: (id: string) => boolean, rows: Rows): string[] {
  return stages.flatMap((step) => {
    if (step.kind === 'each' || step.kind === 'repeat' || step.kind === 'race') {
      return isOver(step.id)
        ? [...allSteps({ stages: graphsOf(step).flatMap((graph) => graph.stages), output: null })].map(({ id }) => id)
        : [];
    }
    const inside = graphsOf(step).flatMap((graph) => ofGraph(graph, isOver, rows));
    return isDone(rows.get(step.id)) ? [step.id, ...inside] : inside;
  });
}

/** Left out for good counts as well: an optional stage that had failed or for which there was no time. */
const isDone = (row: StageRecord | undefined): boolean =>
  row !== undefined && (row.status === 'done' || (row.status === 'skipped' && row.instead !== undefined));

/** Whether a step has begun, all that it reads being there: of control flow, one inside it. A cancelled stage may not have. */
const hasBegun = (step: Step, rows: Rows): boolean => {
  const status = rows.get(step.id)?.status;
  if (status !== undefined) return status === 'done' || status === 'failed';
  return graphsOf(step).some((graph) => [...allSteps(graph)].some((inner) => hasBegun(inner, rows)));
};

/**
 * What people have decided in a run, for the run that resumes it: the same is not asked for twice. A call that an approval of its session
 * covered has no decision of its own: whether that approval still holds is read again. One without what it is about is not whole.
 */
export const decisionsOf = (rows: readonly StageRecord[]): NonNullable<RunContext['decisions']> =>
  Object.fromEntries(
    rows.flatMap(({ decisions = [] }) =>
      decisions
        .filter(({ about, grantedAt }) => about !== undefined && grantedAt === undefined)
        .map(({ path, ...decision }) => [path, decision] as const),
    ),
  );
