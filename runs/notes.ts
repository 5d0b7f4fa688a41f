import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { isJsonObject, type JsonObject } from '../pipelines/json.js';
import { deliveryId, type WebhookOrder } from '../pipelines/run/index.js';
import type { Caller } from './caller.js';
import { fromTemporal, isNotFound, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { type Paced, readInputPaced } from './paced-runs.js';
import { argumentsOf, findRun, type RunReading } from './read.js';

/**
 * What a door has kept with a run when it started it; undefined if nothing. Throws `RUN_NOT_FOUND`. Of a run that its delivery has not started yet
 * it is read with the input, which may be large: waits and throws as `readPaced` does.
 */
export async function notesOf(
  deps: RunReading,
  id: string,
  caller: Caller,
  how: Paced = {},
): Promise<JsonObject | undefined> {
  const { temporal } = deps;
  const { description, accepted } = await findRun(deps, id, caller);
  const inTime = <T>(read: () => Promise<T>) => temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, read);
  try {
    if (!accepted) return await inTime(() => notesIn(temporal, id, description));
    const ordered = () => inTime(() => orderedWith(temporal, id, description));
    const { notes } = await readInputPaced(deps, { id, tenant: caller.tenant }, how, ordered);
    return isJsonObject(notes) ? notes : undefined;
  } catch (error) {
    throw fromTemporal(error, id);
  }
}

/** The notes of a run, which each of its histories begins with; those that an earlier release continued do not. */
export async function notesIn(
  temporal: Client,
  id: string,
  { runId, raw }: Pick<WorkflowExecutionDescription, 'runId' | 'raw'>,
): Promise<JsonObject | undefined> {
  const firstRunId = raw.workflowExecutionInfo?.firstRunId || runId;
  for (const history of new Set([runId, firstRunId])) {
    try {
      // Not the input, which may be large: any run may be asked for notes.
      const [notes = null] = await argumentsOf(temporal, id, history, 3, 2);
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
