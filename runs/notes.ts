import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { isJsonObject, type JsonObject } from '../pipelines/json.js';
import { deliveryId, type WebhookOrder } from '../pipelines/run/index.js';
import type { Caller } from './caller.js';
import { fromTemporal, isNotFound, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { argumentsOf, findRun, type RunReading } from './read.js';

/** What a door has kept with a run when it started it; undefined if nothing. Throws `RUN_NOT_FOUND`. */
export async function notesOf(deps: RunReading, id: string, caller: Caller): Promise<JsonObject | undefined> {
  const { temporal } = deps;
  const { description, accepted } = await findRun(deps, id, caller);
  const read = accepted ? notesInOrder : notesIn;
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () => read(temporal, id, description));
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

/** The notes of a run that its delivery has not started yet, which is described: they are in the order of the delivery. */
async function notesInOrder(
  temporal: Client,
  id: string,
  { runId }: Pick<WorkflowExecutionDescription, 'runId'>,
): Promise<JsonObject | undefined> {
  const [order] = (await argumentsOf(temporal, deliveryId(id), runId, 1)) as unknown as readonly WebhookOrder[];
  const notes = order && 'run' in order.of ? order.of.run.args[2] : undefined;
  return isJsonObject(notes) ? notes : undefined;
}
