import type { Json, JsonObject } from '../../pipelines/json.js';
import { resolve } from '../../pipelines/plan/index.js';
import { reservedAfter } from '../../pipelines/plan/reserve.js';
import { isOneSegment } from '../../pipelines/plan/segments.js';
import { wantedGraph } from '../../pipelines/run/build-segment.js';
import type { Carried, RunContext, RunResult } from '../../pipelines/run/index.js';
import { StageError } from '../../pipelines/run/stage-error.js';
import { checkPlan } from './check-plan.js';
import { Deadline } from './deadline.js';
import { holds, type RunHost } from './host.js';
import { Memo } from './memo.js';
import { nextHistory } from './next-history.js';
import { runGraph, runStep } from './run.js';
import { checkOutput, rowsBeside, rowsOfFailure } from './sizes.js';
import { StageTable } from './stage-table.js';
import { type Run, STOPPED } from './state.js';

/** A run that continues in a new history. */
export interface Continued {
  readonly carried: Omit<Carried, 'decided'>;
}

/**
 * Runs a plan: each step as soon as all steps that it reads have ended, independent steps in parallel, within the
 * plan's deadline. The first stage that fails for good without an alternative ends the run and cancels the others.
 */
export async function interpret(input: JsonObject, context: RunContext, host: RunHost): Promise<RunResult | Continued> {
  const { plan, placement, carried, outputs } = context;
  checkPlan(context);
  const table = new StageTable(plan, placement, (stages) => host.report(stages));
  if (carried) table.take(carried.rows);
  // A run may wait before its first stage starts.
  host.report(table.rows);
  const startedAt = carried?.startedAt ?? host.startedAt ?? host.now();
  const memo = Memo.from(carried?.done);
  const graph = wantedGraph(plan, outputs);
  const run: Run = {
    context,
    table,
    deadline: new Deadline(startedAt + plan.deadlineMs, plan.deadlineMs, () => host.now(), reservedAfter(graph)),
    ...(context.answerTo !== undefined && { answer: { to: context.answerTo, graph } }),
    continuing: false,
    graph: runGraph,
    step: runStep,
  };
  host.within?.(run.deadline);
  try {
    const go = (inner: RunHost) =>
      runGraph(run, graph, undefined, { input }, { host: inner, prefix: '', memo, mayStop: true });
    for (;;) {
      // A race of one: a failing stage cancels those beside it. A segment that is the whole run has none.
      const scope = await (host.runSegment && isOneSegment(graph) ? go(host) : host.race([go]));
      if (scope !== STOPPED) {
        const result = resolve(graph.output, scope) as JsonObject;
        checkOutput(result);
        table.close('done');
        return { output: result, stages: rowsBeside(result, table.rows) };
      }
      // What comes meanwhile is counted too.
      if (host.busy && holds(host, 'next-history-holds-all')) await host.settled?.();
      const next = nextHistory({ input, context, host, startedAt, memo, table });
      const holdsAll = next.misfit !== undefined && holds(host, 'next-history-holds-all');
      const misfit = next.misfit && !holdsAll ? next.misfitBefore : next.misfit;
      if (!misfit) return { carried: next.carried };
      if (host.full(true) || !holdsAll) throw misfit;
      // It goes on here as it would there: it may end, or have less.
      run.continuing = false;
      run.stays = true;
    }
  } catch (error) {
    table.close('failed');
    if (!(error instanceof StageError)) throw error;
    const stages = rowsOfFailure(table.rows) as unknown as Json | undefined;
    throw new StageError(error.code, error.message, { ...error.details, ...(stages !== undefined && { stages }) });
  }
}
