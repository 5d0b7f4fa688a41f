import type { Client, WorkflowExecutionInfo } from '@temporalio/client';
import pMap from 'p-map';
import type { RunResult, StageRecord } from '../../pipelines/run/index.js';
import type { Measured } from '../../placement/replan/index.js';
import { percentile, sortedNumbers } from '../../placement/simulator/index.js';

/** Most runs whose times are read: fifty lie beyond the 95th percentile. */
const MOST_RUNS = 1_000;
/** Most runs whose stages are read, with a call each: enough for means, and done in a second or two. */
const MOST_RESULTS = 100;
/** Results fetched concurrently. */
const AT_ONCE = 10;

export interface RunsOptions {
  readonly pipelines: readonly string[];
  /** The deployment's own task queue, which its runs use. */
  readonly taskQueue: string;
  /** Beginning of the window. */
  readonly since: Date;
}

export interface MeasuredRuns extends Pick<Measured, 'started' | 'completed' | 'failed' | 'runs' | 'stages'> {
  /** Mean run time of each model's stages, in milliseconds: a call's time as seen by a worker. */
  readonly models: Measured['services'];
}

/** Runs of a window from Temporal. A run that was continued in a new history counts once, at its end. */
export async function measureRuns(client: Client, { pipelines, taskQueue, since }: RunsOptions): Promise<MeasuredRuns> {
  const queue = `TaskQueue = "${taskQueue}" AND ExecutionStatus != "ContinuedAsNew"`;
  const of = (name: string) => `WorkflowType = "${name}" AND ${queue}`;
  const all = `(${pipelines.map((name) => `WorkflowType = "${name}"`).join(' OR ')}) AND ${queue}`;
  const time = since.toISOString();
  const count = async (query: string) => (await client.workflow.count(query)).count;
  const [completed, closed, ...began] = await Promise.all([
    count(`${all} AND CloseTime >= "${time}" AND ExecutionStatus = "Completed"`),
    count(`${all} AND CloseTime >= "${time}"`),
    ...pipelines.map((name) => count(`${of(name)} AND StartTime >= "${time}"`)),
  ]);
  const ended: WorkflowExecutionInfo[] = [];
  const query = `${all} AND CloseTime >= "${time}" AND ExecutionStatus = "Completed"`;
  for await (const run of client.workflow.list({ query })) {
    if (ended.push(run) >= MOST_RUNS) break;
  }
  const times = sortedNumbers(
    Float64Array.from(ended, ({ startTime, closeTime }) => (closeTime?.getTime() ?? 0) - startTime.getTime()),
  );
  const at = (share: number) => (times.length > 0 ? percentile(times, share) : 0);
  const rows = await rowsOf(client, spread(ended, MOST_RESULTS));
  return {
    started: Object.fromEntries(pipelines.map((name, i) => [name, began[i] ?? 0])),
    completed: completed ?? 0,
    failed: (closed ?? 0) - (completed ?? 0),
    runs: { count: times.length, p50Ms: at(0.5), p95Ms: at(0.95) },
    stages: meansOf(
      rows,
      ({ pipeline, row }) => `${pipeline}/${row.stage}`,
      ({ queueMs, runMs }) => queueMs + runMs,
    ),
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

type Times = { readonly queueMs: number; readonly runMs: number };

/** Means by key, of stages that were answered by their server. */
function meansOf(rows: readonly Row[], keyOf: (row: Row) => string, ms: (times: Times) => number): Measured['stages'] {
  const sums = new Map<string, { calls: number; sum: number }>();
  for (const each of rows) {
    const { status, cache, queueMs, runMs, count } = each.row;
    const answered = status === 'done' && cache !== 'hit' && cache !== 'shared' && count === undefined;
    if (!answered || queueMs === undefined || runMs === undefined) continue;
    const { calls, sum } = sums.get(keyOf(each)) ?? { calls: 0, sum: 0 };
    sums.set(keyOf(each), { calls: calls + 1, sum: sum + ms({ queueMs, runMs }) });
  }
  return Object.fromEntries([...sums].map(([key, { calls, sum }]) => [key, { calls, meanMs: sum / calls }]));
}
