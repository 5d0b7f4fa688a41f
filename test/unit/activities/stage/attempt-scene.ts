import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { createActivities } from '../../../../activities/stage/activity.js';
import type { Attempt, StageRunner } from '../../../../activities/stage/stage-runner.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';

/** The activity of an attempt: what its stage does, and what differs from a first attempt in time. */
interface Scene {
  readonly run: (attempt: Attempt, call: StageCall) => Promise<unknown>;
  readonly info?: object;
  readonly call?: object;
  /** Of its context. */
  readonly more?: { readonly client?: object | undefined; readonly [name: string]: unknown };
  /** Looks for what an attempt before it has recorded. */
  readonly earlier?: (input: JsonObject, call: StageCall) => Promise<unknown>;
  readonly input?: JsonObject;
  /** Values of the entries of channels in it. */
  readonly entries?: ReadonlyMap<string, Json>;
}

export function activity({ run, info, call, more, earlier, input = {}, entries }: Scene): Promise<unknown> {
  const runner = {
    run: (_input: unknown, given: StageCall, attempt: Attempt) => run(attempt, given),
    lost: () => undefined,
    ...(earlier && { earlier }),
    ...(entries && { stepStreams: () => ({ valuesOf: async () => entries }) }),
  } as unknown as StageRunner;
  const context = {
    info: { startToCloseTimeoutMs: 60_000, attempt: 1, currentAttemptScheduledTimestampMs: Date.now(), ...info },
    cancellationSignal: new AbortController().signal,
    heartbeat: () => undefined,
    ...more,
    client: more?.client ?? describing(),
  } as unknown as Context;
  const ordered = { stage: 'a', retry: { attempts: 1 }, ...call } as unknown as StageCall;
  return asyncLocalStorage.run(context, () => createActivities(runner).default(input, ordered));
}

/** Temporal's client, which expects the attempt. @param describe what it says of the run */
export const describing = (describe?: () => Promise<object>) => ({
  activity: { heartbeat: async () => undefined },
  withDeadline: (_: number, work: () => Promise<unknown>) => work(),
  workflow: { getHandle: () => ({ describe }) },
});

export const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );
