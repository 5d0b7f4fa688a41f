import { setTimeout as sleep } from 'node:timers/promises';
import type { CallToolResult, Client, JSONRPCMessage, RequestOptions, Transport } from '@modelcontextprotocol/client';
import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';

/** The extension of version 2026-07-28 by which a server makes a call a task (SEP-2663). */
export const TASKS = 'io.modelcontextprotocol/tasks';

/** Key in `_meta` of a result that is not there yet. */
const TASK_META = 'millrace/task';

/** Bounds of the interval at which a task is asked for, in milliseconds, whatever its server wishes. */
const SOONEST_MS = 100;
const LATEST_MS = 10_000;
const USUAL_MS = 1_000;

const created = z.looseObject({ taskId: z.string(), pollIntervalMs: z.number().optional() });

const detailed = z.looseObject({
  status: z.string(),
  pollIntervalMs: z.number().optional(),
  statusMessage: z.string().optional(),
  result: z.looseObject({ content: z.array(z.looseObject({ type: z.string() })).default([]) }).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
});

type CreatedTask = z.output<typeof created>;

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

/** The task that a call has become. */
export function taskIn({ _meta }: CallToolResult): CreatedTask | undefined {
  const task = (_meta as Record<string, unknown> | undefined)?.[TASK_META];
  return task === undefined ? undefined : created.parse(task);
}

/** Waits for the result of a task. A caller that gives up cancels it. Throws `TOOL_FAILED`. */
export async function awaitTask(
  client: Client,
  { taskId, pollIntervalMs = USUAL_MS }: CreatedTask,
  options: RequestOptions & { readonly signal: AbortSignal },
): Promise<CallToolResult> {
  const { signal } = options;
  let interval = pollIntervalMs;
  try {
    while (true) {
      await sleep(Math.min(Math.max(interval, SOONEST_MS), LATEST_MS), undefined, { signal });
      const task = await client.request({ method: 'tasks/get', params: { taskId } }, detailed, options);
      if (task.status === 'completed' && task.result) return task.result as unknown as CallToolResult;
      if (task.status !== 'working') throw failed(task);
      interval = task.pollIntervalMs ?? interval;
    }
  } catch (error) {
    if (signal.aborted)
      void client.request({ method: 'tasks/cancel', params: { taskId } }, z.looseObject({})).catch(() => undefined);
    throw error;
  }
}

function failed({ status, error, statusMessage }: z.output<typeof detailed>): MillraceError {
  if (status === 'input_required') {
    return new MillraceError('TOOL_FAILED', 'the tool asks for input of a person, which an agent’s call cannot give');
  }
  return new MillraceError('TOOL_FAILED', error?.message ?? statusMessage ?? `the tool’s task is ${status}`);
}
