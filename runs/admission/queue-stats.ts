import type { Client } from '@temporalio/client';
import { millisecondsOf } from '../../temporal/timestamp.js';

/** The tasks of one type in a task queue: `activity` for stages, `workflow` for workflows and inline segments. */
export interface Queue {
  readonly name: string;
  readonly type: 'activity' | 'workflow';
  /** It may stand in for another queue, if a worker polls it. */
  readonly standIn?: true;
}

/** Temporal's statistics of the tasks of one priority, updated every five seconds. */
export interface Waiting {
  readonly tasks: number;
  /** Age of the oldest one, in milliseconds. */
  readonly oldestMs: number;
  /** Tasks dispatched per second. */
  readonly takenPerSecond: number;
}

/** What is known of a tenant's tasks in a queue whose tenants take turns. */
export interface Turns {
  /** Its part of the tasks, from 0 to 1. */
  readonly share: number;
  /** Number of other tenants that have tasks. */
  readonly others: number;
}

/** By priority key; 1 is the highest. */
export type QueueStats = ReadonlyMap<number, Waiting>;

/** The key under which all tasks count if the server has no priorities. */
const ALL = 0;

/** Timeout of the request, in milliseconds: a start may wait for it. */
const DEADLINE_MS = 500;

/** As `TaskQueueType` of Temporal's API. */
const TYPES = { workflow: 1, activity: 2 } as const;

/** Statistics of a queue without pollers: it is empty because nothing is sent to it, and a task in it would wait for ever. */
const UNSERVED: QueueStats = new Map([[ALL, { tasks: 1, oldestMs: Number.POSITIVE_INFINITY, takenPerSecond: 0 }]]);

/**
 * Temporal's statistics of a queue (`DescribeTaskQueue`, servers from 1.25 on; by priority from 1.29 on). Temporal lists a worker
 * for five minutes after its last poll.
 */
export async function queueStats(temporal: Client, queue: Queue): Promise<QueueStats> {
  const { stats, statsByPriorityKey, pollers } = await temporal.withDeadline(Date.now() + DEADLINE_MS, () =>
    temporal.workflowService.describeTaskQueue({
      namespace: temporal.options.namespace,
      taskQueue: { name: queue.name },
      taskQueueType: TYPES[queue.type],
      reportStats: true,
    }),
  );
  if (queue.standIn && !pollers?.length) return UNSERVED;
  const byPriority = Object.entries(statsByPriorityKey ?? {});
  const rows = byPriority.length > 0 ? byPriority : stats ? [[String(ALL), stats] as const] : [];
  return new Map(
    rows.map(([key, { approximateBacklogCount, approximateBacklogAge, tasksDispatchRate }]) => [
      Number(key),
      {
        tasks: Number(approximateBacklogCount ?? 0),
        oldestMs: millisecondsOf(approximateBacklogAge ?? {}),
        takenPerSecond: tasksDispatchRate ?? 0,
      },
    ]),
  );
}

/**
 * The expected wait of a new task, in milliseconds: the backlog ahead of it divided by the dispatch rate. If no task of its priority is
 * dispatched, because workers are gone or busy with higher priorities, at least the age of the oldest one.
 * @param turns of its tenant. Absent: tasks of one priority are taken in the order in which they came.
 */
export function expectedWaitMs(stats: QueueStats, priority: number, turns?: Turns): number {
  const rows = [...stats];
  const own = stats.get(priority) ?? stats.get(ALL);
  const more = rows.filter(([key, row]) => key <= priority && row !== own);
  const before = more.reduce((sum, [, { tasks }]) => sum + tasks, 0) + tasksBefore(own?.tasks ?? 0, turns);
  const rate = rows.reduce((sum, [, { takenPerSecond }]) => sum + takenPerSecond, 0);
  const stuckMs = own !== undefined && own.tasks > 0 && own.takenPerSecond < STANDSTILL ? own.oldestMs : 0;
  if (before === 0) return stuckMs;
  return Math.max(stuckMs, rate < STANDSTILL ? 0 : (before / rate) * 1000);
}

/** Of the tasks of a priority, those before a new one of a tenant: its own, and for each of them and the new one a task of every other tenant. */
function tasksBefore(tasks: number, turns: Turns | undefined): number {
  if (turns === undefined) return tasks;
  const own = tasks * turns.share;
  return own + Math.min(tasks - own, (own + 1) * turns.others);
}

/** Dispatch rate below which none counts as dispatched: one task in the 30 seconds over which Temporal averages. */
const STANDSTILL = 1 / 30;
