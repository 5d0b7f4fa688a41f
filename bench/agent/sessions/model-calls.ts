import type { Client } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { JsonObject } from '../../../pipelines/json.js';
import type { StageCall, StageOutcome } from '../../../pipelines/run/index.js';

/** A model call of a run, as its history has it. */
export interface ModelCall {
  /** A conversation is summed up; otherwise it is a turn. */
  readonly isSummary: boolean;
  readonly inputTokens: number;
  /** What the model was sent. */
  readonly request: string;
}

/** The model calls of a run that have ended, in their order. */
export async function modelCallsOf(client: Client, run: string): Promise<ModelCall[]> {
  const { events } = await client.workflow.getHandle(run).fetchHistory();
  const begun = new Map<string, { readonly input: JsonObject; readonly call: StageCall }>();
  const calls: ModelCall[] = [];
  for (const event of events ?? []) {
    const scheduled = event.activityTaskScheduledEventAttributes?.input?.payloads;
    if (scheduled) {
      const [input, call] = scheduled.map(decoded) as [JsonObject, StageCall];
      begun.set(String(event.eventId), { input, call });
    }
    const ended = event.activityTaskCompletedEventAttributes;
    const asked = ended && begun.get(String(ended.scheduledEventId));
    if (asked?.call.kind !== 'chat') continue;
    const { usage } = decoded(ended?.result?.payloads?.[0] ?? {}) as StageOutcome;
    calls.push({
      isSummary: isSummary(asked.call.path ?? ''),
      inputTokens: usage?.inputTokens ?? Number.NaN,
      request: JSON.stringify([asked.call.with.system ?? '', asked.input]),
    });
  }
  return calls;
}

/** As the interpreter names such calls. */
const isSummary = (path: string): boolean => /\/summary(-\d+-\d+)?$/.test(path);

const decoded = (payload: Payload): unknown => defaultPayloadConverter.fromPayload(payload);
