import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { isJsonObject, type JsonObject } from '../pipelines/json.js';
import { deliveryId, type WebhookOrder } from '../pipelines/run/index.js';
import type { Caller } from './caller.js';
import { fromTemporal, isNotFound, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { type Paced, readInputPaced, readNotesPaced } from './paced-runs.js';
import { argumentsOf, findRun, type RunReading } from './read.js';

/**
 * What a door has kept with a run when it started it; undefined if nothing. Throws `RUN_NOT_FOUND`. It is read with the run's input, which may be
 * large: waits and throws as `readPaced` does.
 */
export async function notesOf(
  deps: RunReading,
  id: string,
  caller: Caller,
  how: Paced = {},
): Promise<JsonObject | undefined> {
  const { temporal } = deps;
  const { tenant } = caller;
  const { description, running, accepted } = await findRun(deps, id, caller);
  const inTime = <T>(read: () => Promise<T>) => temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, read);
  try {
    if (!accepted)
      return await readNotesPaced(deps, { id, tenant, running }, how, (sent) =>
        inTime(() => notesIn(temporal, id, description, sent)),
      );
    const ordered = () => inTime(() => orderedWith(temporal, id, description));
    const { notes } = await readInputPaced(deps, { id, tenant }, how, ordered);
    return isJsonObject(notes) ? notes : undefined;
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

/**
 * The notes of a run, which each of its histories begins with; those that an earlier release continued do not.
 * @param sent called with the bytes that Temporal has sent
 */
export async function notesIn(
  temporal: Client,
  id: string,
  { runId, raw }: Pick<WorkflowExecutionDescription, 'runId' | 'raw'>,
  sent?: (bytes: number) => void,
): Promise<JsonObject | undefined> {
  const firstRunId = raw.workflowExecutionInfo?.firstRunId || runId;
  for (const history of new Set([runId, firstRunId])) {
    try {
      // Temporal sends the input too, which may be large; it is not decoded.
      const [notes = null] = await argumentsOf(temporal, id, history, 3, { from: 2, sent });
      if (isJsonObject(notes)) return notes;
    } catch (error) {
      // Temporal has removed the first one.
      if (history === runId || !isNotFound(error)) throw error;
    }
  }
  return undefined;
}

/** Input and notes of a run that its delivery has not started yet, which is described: they are in the order of the delivery. */
async function orderedWith(
  temporal: Client,
  id: string,
  { runId }: Pick<WorkflowExecutionDescription, 'runId'>,
): Promise<JsonObject> {
  const [order] = (await argumentsOf(temporal, deliveryId(id), runId, 1)) as unknown as readonly WebhookOrder[];
  if (!order || !('run' in order.of)) return {};
  const [input, , notes] = order.of.run.args;
  return notes === undefined ? { input } : { input, notes };
}
