import {
  allSteps,
  type Graph,
  graphsOf,
  isStage,
  type Plan,
  readsOf,
  type Step,
  streamsInto,
} from '../pipelines/plan/index.js';
import type { RunContext, StageRecord } from '../pipelines/run/index.js';

/**
 * The stages of an ended run whose results are final: the run that resumes it takes all of them, failures included. Whether a loop or a race
 * would have gone on is known only if a step behind it has begun.
 */
export function endedStages(plan: Plan, rows: readonly StageRecord[]): string[] {
  const byId = new Map(rows.map((row) => [row.stage, row]));
  const over = new Set<string>();
  // What a step reads stands before it.
  for (const step of [...allSteps(plan)].reverse()) {
    for (const id of endedBy(step, over.has(step.id), byId)) over.add(id);
  }
  return ofGraph(plan, (id) => over.has(id), byId);
}

/**
 * The steps that had ended, as a step shows that reads them.
 * @param isOver whether the step has ended itself
 */
function endedBy(step: Step, isOver: boolean, rows: Rows): readonly string[] {
  if (isOver) return readsOf(step);
  if (!hasBegun(step, rows)) return [];
  const streams = streamsInto(step).map(({ from }) => from);
  // It begins with the first pieces of a stream.
  const hasAll = streams.length === 0 || (isStage(step) && rows.get(step.id)?.status === 'done');
  return hasAll ? readsOf(step) : readsOf(step).filter((id) => !streams.includes(id));
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

/** Whether a step has begun, all that it reads being there: of control flow, one inside it. */
const hasBegun = (step: Step, rows: Rows): boolean => {
  const row = rows.get(step.id);
  if (row) return row.status === 'done' || row.status === 'failed' || hasTraces(row);
  return graphsOf(step).some((graph) => [...allSteps(graph)].some((inner) => hasBegun(inner, rows)));
};

/**
 * Whether a row of any status has what only a stage that has begun can have. A cancelled one without it may only have been held by a segment,
 * whose stages are all shown as running.
 */
const hasTraces = ({ count, calls, decisions, endpoint, instead }: StageRecord): boolean =>
  [count, calls, decisions, endpoint, instead].some((trace) => trace !== undefined);

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
