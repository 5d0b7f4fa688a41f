import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  setCurrentDetails,
  setDefaultSignalHandler,
  sleep,
  TimeoutFailure,
} from '@temporalio/workflow';
import type { StageActivity } from '../activities/activity.js';
import type { Json, JsonObject } from '../pipelines/json.js';
import type { Placement, StageCall, StageOutcome, StagePlan, StageRecord } from '../pipelines/plan/index.js';
import { type Host, StageError, stageTableMarkdown } from './interpreter/index.js';

/** A worker that is gone or stuck is noticed within this time; activities beat five times as often. */
const HEARTBEAT_TIMEOUT_MS = 5_000;

/** The interpreter's host inside a Temporal workflow: stages are activities, waits are durable timers. */
export class TemporalHost implements Host {
  readonly #placement: Placement;
  readonly #messages = new Map<string, Json[]>();
  #stages: readonly StageRecord[] = [];

  constructor(placement: Placement) {
    this.#placement = placement;
    setDefaultSignalHandler((name, ...args) => {
      this.#inbox(name).push((args[0] ?? null) as Json);
    });
  }

  get stages(): readonly StageRecord[] {
    return this.#stages;
  }

  runStage(stage: StagePlan, input: JsonObject, call: StageCall): Promise<StageOutcome> {
    return this.#activityOf(stage)(input, call).catch((error: unknown) => {
      throw isCancellation(error) ? error : stageError(stage, error);
    });
  }

  now(): number {
    return Date.now();
  }

  async wait(ms: number, what: string): Promise<void> {
    await sleep(ms, { summary: what });
  }

  async signal(name: string): Promise<Json> {
    const inbox = this.#inbox(name);
    await condition(() => inbox.length > 0);
    return inbox.shift() as Json;
  }

  race<T>(contenders: readonly ((host: Host) => Promise<T>)[]): Promise<T> {
    return CancellationScope.cancellable(async () => {
      const scope = CancellationScope.current();
      try {
        const [only, ...others] = contenders;
        // Alone, it has left nothing running when it succeeds, and cancelling has its price: a failure with a stack trace.
        if (only && others.length === 0) return await only(this);
        const result = await Promise.race(contenders.map((contender) => contender(this)));
        scope.cancel();
        return result;
      } catch (error) {
        scope.cancel();
        throw error;
      }
    });
  }

  report(stages: readonly StageRecord[]): void {
    this.#stages = stages;
    setCurrentDetails(stageTableMarkdown(stages));
  }

  #inbox(name: string): Json[] {
    const inbox = this.#messages.get(name) ?? [];
    this.#messages.set(name, inbox);
    return inbox;
  }

  /** The activity is typed by the stage's name; its summary says what serves it and where. */
  #activityOf(stage: StagePlan): StageActivity {
    const { policy, id, model } = stage;
    const placed = this.#placement[id];
    if (!placed) throw new StageError('INTERNAL', `the placement has no row for stage "${id}"`);
    const options = {
      startToCloseTimeout: policy.timeout.attemptMs,
      scheduleToCloseTimeout: policy.timeout.totalMs,
      retry: {
        maximumAttempts: policy.retry.attempts,
        initialInterval: policy.retry.initialMs,
        backoffCoefficient: policy.retry.factor,
        maximumInterval: policy.retry.maxMs,
      },
      summary: `${placed.connector} · ${model} @${placed.device}`,
    };
    const activities =
      policy.execution === 'inline'
        ? proxyLocalActivities<Record<string, StageActivity>>(options)
        : proxyActivities<Record<string, StageActivity>>({
            ...options,
            taskQueue: placed.queue,
            heartbeatTimeout: HEARTBEAT_TIMEOUT_MS,
          });
    return activities[id] as StageActivity;
  }
}

/** Temporal reports by a type of its own that a worker was stopped in the middle of a stage. */
const codeOf = ({ type }: ApplicationFailure): string =>
  type === 'WorkerShutdown' ? 'STAGE_TIMEOUT' : (type ?? 'INTERNAL');

/** The stage's last failure as the error table's code. */
function stageError({ id, policy }: StagePlan, error: unknown): StageError {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const details = (cause.details?.[0] ?? {}) as JsonObject;
    return new StageError(codeOf(cause), `stage "${id}": ${cause.message}`, { ...details, stage: id });
  }
  if (cause instanceof TimeoutFailure) {
    const { attemptMs, totalMs } = policy.timeout;
    const why =
      cause.timeoutType === 'HEARTBEAT'
        ? 'its worker stopped answering'
        : `limits: ${attemptMs} ms an attempt, ${totalMs} ms in all`;
    return new StageError('STAGE_TIMEOUT', `stage "${id}" timed out (${cause.timeoutType}; ${why})`, { stage: id });
  }
  return new StageError('INTERNAL', `stage "${id}": ${error instanceof Error ? error.message : String(error)}`, {
    stage: id,
  });
}
