import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { isJsonObject, type Json } from '../pipelines/json.js';
import { type StageRecord, stageOfForeign } from '../pipelines/run/index.js';

type Payloads = NonNullable<
  NonNullable<WorkflowExecutionDescription['raw']['pendingActivities']>[number]['heartbeatDetails']
>['payloads'];

/** Value of temporal.api.enums.v1.PendingActivityState. */
const SCHEDULED = 1;

/**
 * Adds to the rows what their stages wait for, which the workflow cannot see. A stage whose server is away is an activity between two
 * attempts; its heartbeat details say what it waits for. One of another worker's activities may wait for this worker.
 */
export async function withWaits(
  temporal: Client,
  { raw }: WorkflowExecutionDescription,
  rows: readonly StageRecord[],
): Promise<readonly StageRecord[]> {
  const doing = new Map<string, string>();
  for (const { activityId, state: now, attempt, lastFailure, heartbeatDetails } of raw.pendingActivities ?? []) {
    const foreign = stageOfForeign(activityId ?? '');
    if (foreign !== undefined) {
      const untaken = now === SCHEDULED && attempt === 1 && !lastFailure;
      const queue = rows.find(({ stage }) => stage === foreign)?.device;
      if (untaken && queue !== undefined) doing.set(foreign, `waiting for a worker of the task queue ${queue}`);
      // The heartbeats are the other worker's own.
      continue;
    }
    const state = await decoded(temporal, heartbeatDetails?.payloads);
    if (!isJsonObject(state)) continue;
    if (typeof state.stage === 'string' && typeof state.doing === 'string') doing.set(state.stage, state.doing);
  }
  if (doing.size === 0) return rows;
  return rows.map((row) => {
    const what = doing.get(row.stage);
    return what === undefined ? row : { ...row, doing: row.doing === undefined ? what : `${row.doing}, ${what}` };
  });
}

async function decoded(temporal: Client, given: Payloads): Promise<Json> {
  const { payloadConverter, payloadCodecs } = temporal.options.loadedDataConverter;
  let payloads = given?.slice(0, 1) ?? [];
  if (payloads.length === 0) return null;
  for (const codec of [...payloadCodecs].reverse()) payloads = await codec.decode(payloads);
  const [payload] = payloads;
  return payload ? payloadConverter.fromPayload<Json>(payload) : null;
}
