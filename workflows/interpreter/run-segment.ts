import type { Json, JsonObject } from '../../pipelines/json.js';
import { type Graph, resolve } from '../../pipelines/plan/index.js';
import type { RunResult, Segment, SegmentOutcome } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { Deadline } from './deadline.js';
import { interrupts, type RunHost } from './host.js';
import { Memo } from './memo.js';
import { runGraph, runStep } from './run.js';
import { GraphValues } from './scope.js';
import { StageTable } from './stage-table.js';
import type { Run } from './state.js';

/** Runs a segment to its end, in the process that holds its journal. */
export async function interpretSegment(segment: Segment, host: RunHost): Promise<SegmentOutcome> {
  const { context, steps, prefix, scope, leftMs, reserved, wanted } = segment;
  const graph: Graph = { stages: steps, output: null };
  const table = new StageTable(graph, context.placement, () => undefined);
  const memo = new Memo();
  const deadline = new Deadline(
    host.now() + leftMs,
    context.plan.deadlineMs,
    () => host.now(),
    new Map(Object.entries(reserved)),
  );
  const run: Run = { context, table, deadline, continuing: false, graph: runGraph, step: runStep };
  try {
    // A race of one: a failing step cancels those beside it.
    await host.race([
      (inner) => runGraph(run, graph, new GraphValues(scope), {}, { host: inner, prefix, memo, mayStop: false }),
    ]);
    table.close('done');
    for (const { id } of steps) if (wanted?.includes(id) === false) memo.below(id).end(null);
    return { done: memo.toJson(), rows: table.rows };
  } catch (error) {
    if (!(error instanceof StageError)) throw error;
    const { code, message, details } = error;
    if (interrupts(error)) return { done: memo.toJson(), rows: ended(table), interrupted: true };
    table.close('failed');
    return { done: {}, rows: table.rows, failure: { code, message, details } };
  }
}

/** Excludes rows of stages that will run again. */
const ended = (table: StageTable) => table.rows.filter(({ status }) => status === 'done');

/** The run's result, if a segment is the whole run and has succeeded; stages not run were not requested. */
export function answerOf({ answer, steps, scope }: Segment, { done, rows }: SegmentOutcome): RunResult {
  const memo = Memo.from(done);
  const values = Object.fromEntries(steps.map(({ id }) => [id, memo.below(id).value ?? null]));
  const output = resolve(answer?.output ?? null, new GraphValues({ ...scope, ...values } as Record<string, Json>));
  const ran = new Map(rows.map((row) => [row.stage, row]));
  const stages = answer?.table?.map((row) => ran.get(row.stage) ?? { ...row, status: 'skipped' as const });
  return { output: output as JsonObject, stages: stages ?? rows };
}
