import {
  ActivityCancellationType,
  CancellationScope,
  ChildWorkflowCancellationType,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  proxyActivities,
  proxyLocalActivities,
  workflowInfo,
} from '@temporalio/workflow';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { bytesOf } from '../pipelines/json-limits.js';
import { queueOrder, type StagePlan } from '../pipelines/plan/index.js';
import { channelTtlMs } from '../pipelines/run/channel-ttl.js';
import {
  type ForeignCall,
  type ForeignEnd,
  type ForeignOutcome,
  type ForeignStart,
  foreignActivityId,
  idempotencyKeyOf,
  type StageCall,
  type StageEvent,
  type StageOutcome,
  type StagePlacement,
} from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { taskTime } from './activity-options.js';
import { stageError } from './failures.js';
import { foreignError, patienceOf } from './foreign-failures.js';
import type { Begin } from './pending-work.js';

/** What a foreign call needs from the host of its run. */
export interface ForeignHost {
  /** Number of a call, distinct within the run. */
  readonly number: number;
  /** Runs a local activity; its result arrives after the effects of those that ended before it. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
  /** Resolves when the current workflow task has room for a command of this size. */
  room(bytes: number): Promise<void> | undefined;
  /** Begins a call as soon as the run has a place for it. */
  readonly begin: Begin;
  /** The stage, which has waited for its place, within what is left of the run. Throws `DEADLINE_EXCEEDED` if nothing is. */
  limited(): StagePlan;
  publish(event: StageEvent): void;
}

type Around = (input: JsonObject, call: ForeignCall) => Promise<ForeignStart | ForeignOutcome | null>;
type Foreign = (...args: readonly Json[]) => Promise<Json>;

/**
 * The local activities before and after a call: checks, a record and events. They repeat for about a minute while a store is away. A large result may
 * have to wait for those of others (`ResultPace`).
 */
const AROUND = {
  startToCloseTimeout: 60_000,
  retry: { initialInterval: 200, maximumInterval: 2_000, maximumAttempts: 30 },
};

/**
 * Runs a stage that another worker of Temporal serves: the workflow itself calls its activity, or starts its workflow as
 * a child. Before and after it, local activities check what goes in and comes out, and report it.
 */
export async function callForeign(
  stage: StagePlan,
  input: JsonObject,
  call: StageCall,
  placed: StagePlacement,
  host: ForeignHost,
): Promise<StageOutcome> {
  const begunAt = Date.now();
  const path = call.path ?? call.stage;
  const around = (what: string) =>
    proxyLocalActivities<Record<string, Around>>({ ...AROUND, summary: `${path} · ${what}` })[stage.id] as Around;
  let failure: StageError | undefined;
  let result: Json = null;
  try {
    const given = (await host.inTurn(() =>
      around('input')(input, { foreign: { call }, ...taskTime() }),
    )) as ForeignStart;
    if ('outcome' in given) return given.outcome;
    const taken = given.input ?? input;
    let startedAt = Date.now();
    try {
      const bytes = bytesOf(taken);
      await host.room(bytes);
      const begun = host.begin((waitedMs) => {
        startedAt += waitedMs;
        const own = waitedMs > 0 ? host.limited() : stage;
        const leftMs = Math.max(1, own.policy.timeout.totalMs - (Date.now() - begunAt - waitedMs));
        const make = stage.kind === 'workflow' ? childOf : activityOf;
        const start = () => make(own, call, placed, leftMs, host.number)(...argumentsOf(taken, call, leftMs));
        const more = waitedMs > 0 ? host.room(bytes) : undefined;
        return more !== undefined ? more.then(start) : start();
      });
      result = (await begun) ?? null;
      if (ArrayBuffer.isView(result)) failure = bytesFailure(stage);
    } catch (error) {
      if (isOwnCancellation(error)) throw error;
      failure = error instanceof StageError ? error : foreignError(stage, placed.queue, error);
    }
    const times = { startedAt, runMs: Date.now() - startedAt };
    const ended: ForeignEnd = failure
      ? { ...times, failure: { code: failure.code, message: failure.message } }
      : { ...times, result };
    const outcome = await host.inTurn(() => around('result')(input, { foreign: { call, ended }, ...taskTime() }));
    if (!failure) return { output: outputOf(call, result), ...outcome } as StageOutcome;
  } catch (error) {
    if (isOwnCancellation(error)) {
      if (call.events) host.publish(cancelled(call, path));
      throw error;
    }
    // A failed report must not hide the call's own failure.
    failure ??= stageError(stage, error);
  }
  throw failure;
}

/** A cancellation of the run, or of the race that the stage is in, and not of the other worker's work alone. */
const isOwnCancellation = (error: unknown): boolean =>
  isCancellation(error) && CancellationScope.current().consideredCancelled;

const cancelled = ({ stage }: StageCall, path: string): StageEvent => ({
  type: 'stage.failed',
  stage,
  path,
  attempt: 1,
  code: 'RUN_CANCELLED',
  message: 'the stage was aborted',
});

const bytesFailure = ({ id }: StagePlan): StageError =>
  new StageError('INVALID_OUTPUT', `stage "${id}": the result is bytes, not JSON; return media by reference`, {
    stage: id,
  });

/** The output within a result. */
const outputOf = ({ with: { protocol } }: StageCall, result: Json): Json =>
  protocol === 'millrace' && isJsonObject(result) ? (result.output ?? null) : result;

function argumentsOf(input: JsonObject, call: StageCall, leftMs: number): readonly Json[] {
  const { args, protocol } = call.with;
  if (protocol === 'millrace') return [input, callArgument(call, leftMs)];
  if (!Array.isArray(args)) return [input];
  const names = args as readonly string[];
  const last = names.findLastIndex((name) => input[name] !== undefined);
  return names.slice(0, last + 1).map((name) => input[name] ?? null);
}

/** Version of the protocol `millrace`. */
const PROTOCOL = 1;

/** The second argument of an activity with the protocol `millrace`. */
function callArgument(call: StageCall, leftMs: number): JsonObject {
  const { pipeline, stage, path, tenant, priority } = call;
  const run = workflowInfo().workflowId;
  return {
    protocol: PROTOCOL,
    run,
    pipeline,
    stage,
    ...(path !== undefined && { path }),
    tenant,
    idempotencyKey: idempotencyKeyOf(call, run),
    deadlineMs: leftMs,
    ...(priority && { priority }),
    ...(call.writes && { stream: streamArgument(call) }),
    ...(call.reads && { reads: call.reads as unknown as JsonObject, entryMs: call.entryMs ?? leftMs }),
  };
}

/** What a function that yields has to know of its stream: how long the channel is kept, and what follows where it cannot go on. */
const streamArgument = (call: StageCall): JsonObject => ({
  ttlMs: channelTtlMs(call),
  ...(call.channel && { path: call.channel.path }),
  ...(call.again && { again: true }),
  ...(call.onCut && { onCut: call.onCut }),
});

/** Cancelling does not wait for the other worker: an activity without heartbeats never receives it. */
function activityOf(
  stage: StagePlan,
  call: StageCall,
  placed: StagePlacement,
  leftMs: number,
  number: number,
): Foreign {
  const { policy, model } = stage;
  const { retry, timeout } = policy;
  const patienceMs = patienceOf(stage);
  const { heartbeatMs } = stage.with;
  const activities = proxyActivities<Record<string, Foreign>>({
    taskQueue: placed.queue,
    // The run's document finds the stage by it. No two that are pending may have the same.
    activityId: foreignActivityId(call.path ?? call.stage, number),
    startToCloseTimeout: Math.min(timeout.attemptMs, leftMs),
    scheduleToCloseTimeout: leftMs,
    ...(patienceMs !== undefined && { scheduleToStartTimeout: patienceMs }),
    ...(typeof heartbeatMs === 'number' && { heartbeatTimeout: heartbeatMs }),
    priority: queueOrder(call.tenant, call.priority),
    cancellationType: ActivityCancellationType.TRY_CANCEL,
    retry: retryOf(retry),
    summary: summaryOf(call, placed),
  });
  return activities[model] as Foreign;
}

function childOf(stage: StagePlan, call: StageCall, placed: StagePlacement, leftMs: number): Foreign {
  const { policy, model } = stage;
  const { retry, timeout } = policy;
  return (...args) =>
    executeChild(model, {
      workflowId: `${workflowInfo().workflowId}/${call.path ?? call.stage}`,
      taskQueue: placed.queue,
      args: [...args],
      workflowExecutionTimeout: leftMs,
      workflowRunTimeout: Math.min(timeout.attemptMs, leftMs),
      ...(retry.attempts > 1 && { retry: retryOf(retry) }),
      priority: queueOrder(call.tenant, call.priority),
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.TRY_CANCEL,
      staticSummary: summaryOf(call, placed),
    }) as Promise<Json>;
}

const retryOf = ({ attempts, initialMs, factor, maxMs }: StagePlan['policy']['retry']) => ({
  maximumAttempts: attempts,
  initialInterval: initialMs,
  backoffCoefficient: factor,
  maximumInterval: maxMs,
});

/** Longest summary, in characters: it appears in the UI's lists. */
const LONGEST_SUMMARY = 200;

const summaryOf = ({ stage, path = stage, model }: StageCall, { queue }: StagePlacement): string =>
  `${path} · ${model} @${queue}`.slice(0, LONGEST_SUMMARY);
