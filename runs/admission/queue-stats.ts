import type { Client } from '@temporalio/client';

/** A task queue's tasks of one type: of stages (`activity`) or of workflows and inline segments (`workflow`). */
export interface Queue {
  readonly name: string;
  readonly type: 'activity' | 'workflow';
  /** It may take the tasks of another one, if a worker serves it. */
  readonly standIn?: true;
}

/** What Temporal knows of the tasks of one priority; it counts anew every five seconds. */
export interface Waiting {
  readonly tasks: number;
  /** How long the oldest of them has waited. */
  readonly oldestMs: number;
  /** Tasks that workers have taken, per second. */
  readonly takenPerSecond: number;
}

/** By priority key: 1 goes first. */
export type QueueStats = ReadonlyMap<number, Waiting>;

/** Where a server does not tell priorities apart, all wait alike. */
const ALL = 0;

/** Longest wait for them: a start may be waiting. */
const DEADLINE_MS = 500;

/** As `TaskQueueType` of Temporal's API. */
const TYPES = { workflow: 1, activity: 2 } as const;

/** Of a queue that nobody serves: it is empty because nothing goes there, and what went there would wait for ever. */
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
        oldestMs: Number(approximateBacklogAge?.seconds ?? 0) * 1000 + (approximateBacklogAge?.nanos ?? 0) / 1e6,
        takenPerSecond: tasksDispatchRate ?? 0,
      },
    ]),
  );
}

/**
 * How long a task that comes now will wait, in milliseconds: as long as what goes before it takes at the rate at which
 * workers take tasks. Where of its own priority nothing is taken, because workers are gone or always have something more
 * urgent, at least as long as the oldest one has waited.
 */
export function expectedWaitMs(stats: QueueStats, priority: number): number {
  const rows = [...stats];
  const before = rows.filter(([key]) => key <= priority).reduce((sum, [, { tasks }]) => sum + tasks, 0);
  const rate = rows.reduce((sum, [, { takenPerSecond }]) => sum + takenPerSecond, 0);
  const own = stats.get(priority) ?? stats.get(ALL);
  const stuckMs = own !== undefined && own.tasks > 0 && own.takenPerSecond < STANDSTILL ? own.oldestMs : 0;
  if (before === 0) return stuckMs;
  return Math.max(stuckMs, rate < STANDSTILL ? 0 : (before / rate) * 1000);
}

/** Tasks per second below which none are taken: one in the half minute over which Temporal counts. */
const STANDSTILL = 1 / 30;
