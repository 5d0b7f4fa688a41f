import { isJsonObject, type JsonObject } from '../pipelines/json.js';
import type { Caller } from './caller.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';
import { argumentsOf, findRun, type RunReading } from './read.js';

/** What a door has kept with a run when it started it; undefined if nothing. Throws `RUN_NOT_FOUND`. */
export async function notesOf(deps: RunReading, id: string, caller: Caller): Promise<JsonObject | undefined> {
  const { temporal } = deps;
  const { description, accepted } = await findRun(deps, id, caller);
  // Before a worker has started the run, its notes cannot be read.
  if (accepted) return undefined;
  // A run that has continued in a new history has its notes in the first one.
  const first = description.raw.workflowExecutionInfo?.firstRunId || description.runId;
  try {
    const read = () => argumentsOf(temporal, id, first);
    const [, , notes = null] = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, read);
    return isJsonObject(notes) ? notes : undefined;
  } catch (error) {
    throw fromTemporal(error, id);
  }
}
