import { setTimeout as sleep } from 'node:timers/promises';
import type { CallToolResult, Client, JSONRPCMessage, Transport } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { LONGEST_TIMER_MS } from '../../pipelines/duration.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import type { AskedQuestions } from '../../pipelines/run/index.js';
import { HandedOver } from '../connectors/handed-over.js';
import type { TaskAnswers } from './task-answers.js';

/** The extension of version 2026-07-28 by which a server makes a call a task (SEP-2663). */
export const TASKS = 'io.modelcontextprotocol/tasks';

/** Key in `_meta` of a result that is not there yet. */
const TASK_META = 'millrace/task';

/** Bounds of the interval at which a task is asked for, in milliseconds, whatever its server wishes. */
const SOONEST_MS = 100;
const LATEST_MS = 10_000;
const USUAL_MS = 1_000;
/** Questions in a row that may fail to reach the server: the task goes on while they do. */
const MOST_FAILURES = 5;
/** A cancelled call does not wait for its task's end. In milliseconds. */
const CANCEL_MS = 5_000;
/** Longest id of a task, in UTF-16 units: every heartbeat of the attempt has it. */
const LONGEST_ID = 1_024;

const created = z.looseObject({
  taskId: z.string().min(1).max(LONGEST_ID),
  pollIntervalMs: z.number().optional(),
});

const detailed = z.looseObject({
  status: z.string(),
  pollIntervalMs: z.number().optional(),
  statusMessage: z.string().optional(),
  result: z.looseObject({ content: z.array(z.looseObject({ type: z.string() })).default([]) }).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
  inputRequests: z.unknown().optional(),
});

type CreatedTask = z.output<typeof created>;

/** How a call, or a part of it, has ended: with its result, or with what the server asks before. */
export type Called = { readonly result: CallToolResult } | { readonly asks: AskedQuestions };

/** Uses the connection to the task's server, which may be another one each time. Rejects with a `MillraceError`. */
export type Connected = <T>(work: (client: Client) => Promise<T>, signal: AbortSignal) => Promise<T>;

/** Time is limited by the tool's policy only; the SDK's default is a minute. */
export const options = (signal: AbortSignal) => ({ signal, timeout: LONGEST_TIMER_MS });

/** Lets created tasks through to `taskIn`: the SDK has no runtime for the extension and would reject them. */
export function acceptTasks(transport: Transport): void {
  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => deliver?.(asResult(message) as never, extra);
}

function asResult(message: JSONRPCMessage): JSONRPCMessage {
  if (!('result' in message) || message.result.resultType !== 'task') return message;
  const { result } = message;
  return { ...message, result: { resultType: 'complete', content: [], _meta: { [TASK_META]: result } } };
}

/** The task that a call has become. Throws `INVALID_OUTPUT` for one without an id that a checkpoint can hold. */
export function taskIn({ _meta }: CallToolResult): CreatedTask | undefined {
  const given = (_meta as Record<string, unknown> | undefined)?.[TASK_META];
  if (given === undefined) return undefined;
  const { data: task } = created.safeParse(given);
  if (task) return task;
  throw new MillraceError('INVALID_OUTPUT', `the tool’s task has no id of 1 to ${LONGEST_ID} characters`);
}

/** What the next attempt needs to go on with a task. */
export const checkpointOf = ({ taskId }: CreatedTask): Json => ({ task: taskId });

/** A task that is asked for at once. */
export const taskAgain = (taskId: string): CreatedTask => ({ taskId, pollIntervalMs: SOONEST_MS });

/** The task that an earlier attempt has begun. */
export function keptTask(checkpoint: Json | undefined): CreatedTask | undefined {
  const { task } = isJsonObject(checkpoint) ? checkpoint : {};
  return typeof task === 'string' ? taskAgain(task) : undefined;
}

interface Limits {
  /** Called when the task is cancelled: no other attempt goes on with it. */
  readonly givenUp: () => void;
  /** Questions in a row, the last of which ends the call, that do not reach the server. */
  readonly mostFailures?: number;
  /** Answers what the task asks. Absent: nobody can be asked, and such a task fails. */
  readonly answers?: TaskAnswers | undefined;
}

/**
 * Waits for the result of a task, or for what it asks and nobody has answered. A caller that gives up cancels it; not so an attempt that another one goes on from. Throws `TOOL_FAILED`,
 * also if the server does not know the task any more: what it has done is unknown, and it is not begun again.
 */
export async function awaitTask(
  connected: Connected,
  { taskId, pollIntervalMs = USUAL_MS }: CreatedTask,
  signal: AbortSignal,
  { givenUp, mostFailures = MOST_FAILURES, answers }: Limits,
): Promise<Called> {
  let interval = pollIntervalMs;
  let failures = 0;
  const failedOnce = (error: MillraceError): undefined => {
    failures++;
    if (signal.aborted) throw error;
    if (error.code !== 'TOOL_SERVER_UNAVAILABLE') throw unreadable(taskId, error);
    if (failures === mostFailures) throw error;
    return undefined;
  };
  try {
    while (true) {
      const waitMs = Math.max(interval, SOONEST_MS) * 2 ** failures;
      await sleep(Math.min(waitMs, LATEST_MS), undefined, { signal });
      const task = await connected(
        (client) => client.request({ method: 'tasks/get', params: { taskId } }, detailed, options(signal)),
        signal,
      ).catch(failedOnce);
      if (task === undefined) continue;
      if (task.status === 'input_required' && answers) {
        const { asks, responses } = await answers.to(task.inputRequests).catch((error: unknown) => {
          if (!signal.aborted) cancel(connected, taskId);
          throw error;
        });
        const params = { taskId, inputResponses: responses };
        const sent =
          Object.keys(responses).length === 0 ||
          (await connected(
            (client) => client.request({ method: 'tasks/update', params }, z.looseObject({}), options(signal)),
            signal,
          ).catch(failedOnce));
        if (sent && asks) return { asks };
        if (sent) failures = 0;
        interval = task.pollIntervalMs ?? SOONEST_MS;
        continue;
      }
      failures = 0;
      if (task.status === 'completed' && task.result) return { result: task.result as unknown as CallToolResult };
      if (task.status !== 'working') throw failed(task);
      interval = task.pollIntervalMs ?? Math.max(interval, USUAL_MS);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    if (!(signal.reason instanceof HandedOver)) {
      givenUp();
      cancel(connected, taskId);
    }
    throw signal.reason;
  }
}

/** Does not wait for the server. If it is not reached, it finishes the task, and the result is not used. */
function cancel(connected: Connected, taskId: string): void {
  const limit = AbortSignal.timeout(CANCEL_MS);
  const ask = (client: Client) =>
    client.request({ method: 'tasks/cancel', params: { taskId } }, z.looseObject({}), options(limit));
  connected(ask, limit).catch(() => undefined);
}

/** The server's own code would say that the call's arguments are wrong. */
function unreadable(taskId: string, error: MillraceError): MillraceError {
  if (error.code !== 'INVALID_INPUT' && error.code !== 'TOOL_FAILED') return error;
  const message = `the server does not tell how the task ${taskId} goes on; what it has done is unknown: ${error.message}`;
  return new MillraceError('TOOL_FAILED', message, {}, { cause: error });
}

function failed({ status, error, statusMessage }: z.output<typeof detailed>): MillraceError {
  if (status === 'input_required') return nobodyAsked();
  return new MillraceError('TOOL_FAILED', error?.message ?? statusMessage ?? `the tool’s task is ${status}`);
}

/** The failure of a call whose server asks though it was told that nobody can be asked. */
export const nobodyAsked = (): MillraceError =>
  new MillraceError('TOOL_FAILED', 'the tool asks for input of a person; `elicitation` of `mcpTools` lets it');
