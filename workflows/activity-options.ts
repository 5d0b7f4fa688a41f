import { workflowInfo } from '@temporalio/workflow';
import { type TaskTime, WORKFLOW_TASK_TIMEOUT_MS } from '../pipelines/run/index.js';

/**
 * Heartbeat timeout of activities that stream: somebody listens. They send heartbeats four times as often; one that is taken for
 * dead costs little, since the next attempt goes on behind what is committed.
 */
export const STREAM_HEARTBEAT_MS = 2_000;

/** Names and summaries appear in metrics and in the UI's lists. */
const LONGEST_NAME = 200;
export const short = (text: string): string =>
  text.length > LONGEST_NAME ? `${text.slice(0, LONGEST_NAME - 1)}…` : text;

/** For the arguments of local activities, which no history has. */
export function taskTime(): TaskTime {
  const { taskTimeoutMs } = workflowInfo();
  return taskTimeoutMs === WORKFLOW_TASK_TIMEOUT_MS ? {} : { taskMs: taskTimeoutMs };
}
