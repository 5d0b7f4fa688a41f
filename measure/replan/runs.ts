import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import pMap from 'p-map';
import type { RunResult, StageRecord } from '../../pipelines/run/index.js';
import { kindNamed } from '../../pipelines/stages/index.js';
import { LOOKED_AT, type Measured, type MeasuredBudget, type Promised } from '../../placement/replan/index.js';
import { percentile, sortedNumbers } from '../../placement/simulator/index.js';

/** Of the runs, fifty lie beyond the 95th percentile. Stages are read with a call a run: enough for means, and done in a second or two. */
const { runs: MOST_RUNS, stages: MOST_RESULTS } = LOOKED_AT;
/**
 * How runs end that have failed. Named, since a visibility store on SQL takes a run that is still running as one that closes in the year
 * 9999, after any time; and a caller who cancels a run is no failure of the placement.
 */
const FAILED = ['Failed', 'Terminated', 'TimedOut'] as const;
/** Results fetched concurrently. */
const AT_ONCE = 10;

export interface RunsOptions {
  readonly pipelines: readonly string[];
  /** The deployment's own task queue, which its runs use. */
  readonly taskQueue: string;
  /** Beginning of the window. */
  readonly since: Date;
  /** Its end, by the same clock. Runs that Temporal says began later do not count: its clock may be ahead. */
  readonly until: Date;
  /** Runs that began earlier do not count, even if they ended in the window: another placement served them. */
  readonly appliedAt?: Date;
  /** Objectives that the ended runs are compared with. */
  readonly promises?: readonly Promised[];
}

export interface MeasuredRuns
  extends Pick<Measured, 'windowMs' | 'started' | 'completed' | 'failed' | 'runs' | 'budgets' | 'stages'> {
  /** Mean run time of each model's stages, in milliseconds: a call's time as seen by a worker. */
  readonly models: Measured['services'];
}

/** Runs of a window from Temporal. A run that was continued in a new history counts once, at its end. */
export async function measureRuns(client: Client, options: RunsOptions): Promise<MeasuredRuns> {
  const { pipelines, taskQueue, since, until, appliedAt, promises = [] } = options;
  const queue = `TaskQueue = "${taskQueue}" AND ExecutionStatus != "ContinuedAsNew"`;
  const of = (name: string) => `WorkflowType = "${name}" AND ${queue}`;
  const all = `(${pipelines.map((name) => `WorkflowType = "${name}"`).join(' OR ')}) AND ${queue}`;
  const [time, end] = [since.toISOString(), until.toISOString()];
  const ending = `${all} AND CloseTime >= "${time}"${appliedAt ? ` AND StartTime >= "${appliedAt.toISOString()}"` : ''}`;
  const count = async (query: string) => (await client.workflow.count(query)).count;
  const [completed, failed, ...began] = await Promise.all([
    count(`${ending} AND ExecutionStatus = "Completed"`),
    count(`${ending} AND ExecutionStatus IN (${FAILED.map((status) => `"${status}"`).join(', ')})`),
    ...pipelines.map((name) => count(`${of(name)} AND StartTime >= "${time}" AND StartTime < "${end}"`)),
  ]);
  const ended: WorkflowExecutionInfo[] = [];
  const query = `${ending} AND ExecutionStatus = "Completed"`;
  for await (const run of client.workflow.list({ query })) {
    if (ended.push(run) >= MOST_RUNS) break;
  }
  const times = sortedNumbers(
    Float64Array.from(ended, ({ startTime, closeTime }) => (closeTime?.getTime() ?? 0) - startTime.getTime()),
  );
  const at = (share: number) => (times.length > 0 ? percentile(times, share) : 0);
  const rows = await rowsOf(client, spread(ended, MOST_RESULTS));
  return {
    windowMs: until.getTime() - since.getTime(),
    started: Object.fromEntries(pipelines.map((name, i) => [name, began[i] ?? 0])),
    completed: completed ?? 0,
    failed: failed ?? 0,
    runs: { count: times.length, p50Ms: at(0.5), p95Ms: at(0.95) },
    budgets: promises.map((each) => budgetOf(each, each.stage === undefined ? times : timesOf(rows, each.stage))),
    stages: meansOf(rows, keyOfStage, ({ queueMs, runMs }) => queueMs + runMs),
    models: meansOf(
      rows,
      ({ row }) => row.model,
      ({ runMs }) => runMs,
    ),
  };
}

/** At most this many, evenly over the whole. */
function spread<T>(all: readonly T[], most: number): readonly T[] {
  const step = Math.max(1, all.length / most);
  return Array.from({ length: Math.min(all.length, most) }, (_, i) => all[Math.floor(i * step)]).flatMap((each) =>
    each === undefined ? [] : [each],
  );
}

interface Row {
  readonly pipeline: string;
  readonly row: StageRecord;
}

/** The stage tables of ended runs, without those that Temporal no longer keeps. */
async function rowsOf(client: Client, runs: readonly WorkflowExecutionInfo[]): Promise<readonly Row[]> {
  const read = async ({ workflowId, runId, type }: WorkflowExecutionInfo): Promise<Row[]> => {
    try {
      const { stages } = (await client.workflow.getHandle(workflowId, runId).result()) as RunResult;
      return stages.map((row) => ({ pipeline: type, row }));
    } catch {
      // Its history has expired, or its result is not that of a run.
      return [];
    }
  };
  return (await pMap(runs, read, { concurrency: AT_ONCE })).flat();
}

const budgetOf = (promised: Promised, timesMs: ArrayLike<number>): MeasuredBudget => ({
  ...promised,
  count: timesMs.length,
  late: Array.from(timesMs).filter((ms) => ms > promised.ms).length,
});

type Times = { readonly queueMs: number; readonly runMs: number };

/** The times of a stage that was answered by its server. */
function answeredIn({ status, cache, queueMs, runMs, count }: StageRecord): Times | undefined {
  const answered = status === 'done' && cache !== 'hit' && cache !== 'shared' && count === undefined;
  return answered && queueMs !== undefined && runMs !== undefined ? { queueMs, runMs } : undefined;
}

const keyOfStage = ({ pipeline, row }: Row): string => `${pipeline}/${row.stage}`;

/** Wait and run time of a stage's calls, in milliseconds. */
const timesOf = (rows: readonly Row[], stage: string): readonly number[] =>
  rows.flatMap((each) => {
    const times = keyOfStage(each) === stage ? answeredIn(each.row) : undefined;
    return times ? [times.queueMs + times.runMs] : [];
  });

/** Means by key, of stages that were answered by their server. An agent’s row is left out: its time is that of all its turns and tools. */
function meansOf(rows: readonly Row[], keyOf: (row: Row) => string, ms: (times: Times) => number): Measured['stages'] {
  const sums = new Map<string, { calls: number; sum: number }>();
  for (const each of rows) {
    const times = answeredIn(each.row);
    if (times === undefined || kindNamed(each.row.kind)?.calls !== undefined) continue;
    const { calls, sum } = sums.get(keyOf(each)) ?? { calls: 0, sum: 0 };
    sums.set(keyOf(each), { calls: calls + 1, sum: sum + ms(times) });
  }
  return Object.fromEntries([...sums].map(([key, { calls, sum }]) => [key, { calls, meanMs: sum / calls }]));
}
