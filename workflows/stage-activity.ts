import { proxyActivities } from '@temporalio/workflow';
import type { StageActivity } from '../activities/stage/activity.js';
import type { JsonObject } from '../pipelines/json.js';
import { queueOrder, type StagePlan } from '../pipelines/plan/index.js';
import { ENTRY_KIND, type StageCall, type StageOutcome, type StagePlacement } from '../pipelines/run/index.js';
import { STREAM_HEARTBEAT_MS, short } from './activity-options.js';
import { type OnQueue, onFirstQueue } from './elsewhere.js';
import type { Shown } from './interpreter/index.js';

/** A dead or stuck worker is detected within this time; activities send heartbeats ten times as often. */
const HEARTBEAT_TIMEOUT_MS = 5_000;

/**
 * Runs a stage as an activity of Temporal, on its queue or on the first of several.
 * @param nextRoom resolves when the current workflow task has room for the call on a further queue; undefined: it has
 */
export const stageActivity = (
  stage: StagePlan,
  input: JsonObject,
  call: StageCall,
  placed: StagePlacement,
  nextRoom: () => Promise<void> | undefined,
  shown?: Shown,
): Promise<StageOutcome> =>
  placed.elsewhere && placed.patienceMs !== undefined
    ? onQueues(stage, input, call, placed, nextRoom, shown)
    : activityOf(stage, call, placed, shown)(input, refusable(call));

/** Runs a stage on the first of its queues that has a worker; its policy limits time and attempts across all queues. */
function onQueues(
  stage: StagePlan,
  input: JsonObject,
  call: StageCall,
  placed: StagePlacement,
  nextRoom: () => Promise<void> | undefined,
  shown?: Shown,
): Promise<StageOutcome> {
  const { retry, timeout } = stage.policy;
  const startedAt = Date.now();
  const callOn = ({ queue, device, patienceMs, begun, again, lost }: OnQueue) => {
    const totalMs = Math.max(1, timeout.totalMs - (Date.now() - startedAt));
    const left = { ...retry, attempts: retry.attempts - begun };
    const policy = {
      ...stage.policy,
      retry: left,
      timeout: { ...timeout, totalMs, ...(patienceMs !== undefined && { queueMs: patienceMs }) },
    };
    const patient = patienceMs !== undefined && { patienceMs: Math.min(patienceMs, call.patienceMs ?? patienceMs) };
    const before = { ...(again && call.writes && { again }), ...(lost && { since: startedAt }) };
    const placedCall = { ...call, retry: left, ...patient, ...before };
    return activityOf({ ...stage, policy }, call, { ...placed, queue, device }, shown)(input, refusable(placedCall));
  };
  // The first has its room already.
  let isFirst = true;
  return onFirstQueue(placed, retry.attempts, (on) => {
    const waiting = isFirst ? undefined : nextRoom();
    isFirst = false;
    return waiting !== undefined ? waiting.then(() => callOn(on)) : callOn(on);
  });
}

/** The activity is typed by the stage's name; its summary states what serves it and where. */
function activityOf(
  stage: StagePlan,
  { path, tenant, priority, reads, writes }: StageCall,
  placed: StagePlacement,
  shown?: Shown,
): StageActivity {
  const { policy, id, model } = stage;
  const { retry, timeout } = policy;
  const activities = proxyActivities<Record<string, StageActivity>>({
    taskQueue: placed.queue,
    heartbeatTimeout: reads || writes ? STREAM_HEARTBEAT_MS : HEARTBEAT_TIMEOUT_MS,
    ...(timeout.queueMs !== undefined && { scheduleToStartTimeout: timeout.queueMs }),
    priority: queueOrder(tenant, priority),
    startToCloseTimeout: timeout.attemptMs,
    scheduleToCloseTimeout: timeout.totalMs,
    // The activity limits the number of calls: an attempt that found no server to call does not count.
    retry: {
      initialInterval: retry.initialMs,
      backoffCoefficient: retry.factor,
      maximumInterval: retry.maxMs,
    },
    summary: shown
      ? short(shown.summary)
      : `${path !== undefined && path !== id ? `${path} · ` : ''}${placed.connector} · ${model} @${placed.device}`,
  });
  return activities[shown?.type ?? id] as StageActivity;
}

/** A call with entries of channels, or with channels, is only taken by workers that can read them, and name them alike. */
const refusable = (call: StageCall): StageCall => (call.held || call.channel ? { ...call, kind: ENTRY_KIND } : call);
