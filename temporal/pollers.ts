import type { Connection } from '@temporalio/client';

/**
 * A worker polls again within 60 s, Temporal's longest poll; one that has not polled for this long, in milliseconds, is
 * gone, though Temporal lists it for five minutes.
 */
const POLLED_MS = 90_000;

/** Values of temporal.api.enums.v1.TaskQueueType. */
const QUEUE_TYPES = { workflows: 1, stages: 2 } as const;

/** Identities of the workers that poll a queue. */
export async function pollersOf(
  connection: Pick<Connection, 'workflowService'>,
  namespace: string,
  queue: string,
  what: keyof typeof QUEUE_TYPES,
): Promise<readonly string[]> {
  const { pollers } = await connection.workflowService.describeTaskQueue({
    namespace,
    taskQueue: { name: queue },
    taskQueueType: QUEUE_TYPES[what],
  });
  return (pollers ?? [])
    .filter(({ lastAccessTime }) => Date.now() - Number(lastAccessTime?.seconds ?? 0) * 1_000 < POLLED_MS)
    .map(({ identity }) => identity ?? 'a worker without a name');
}
