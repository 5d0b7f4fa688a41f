import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';

/** The versions that are spoken, the preferred one first. */
export const VERSIONS = ['1.0', '0.3'] as const;
export type Version = (typeof VERSIONS)[number];

/** What is asked of an agent. */
export type Asked = 'send' | 'stream' | 'get' | 'cancel';

export const METHODS: Readonly<Record<Version, Readonly<Record<Asked, string>>>> = {
  '1.0': { send: 'SendMessage', stream: 'SendStreamingMessage', get: 'GetTask', cancel: 'CancelTask' },
  '0.3': { send: 'message/send', stream: 'message/stream', get: 'tasks/get', cancel: 'tasks/cancel' },
};

/** A message for an agent. */
export interface Outgoing {
  /** The same in every attempt. */
  readonly messageId: string;
  readonly message?: string | undefined;
  readonly data?: JsonObject | undefined;
  readonly task?: string | undefined;
  readonly context?: string | undefined;
}

/** Its parameters; who does not stream is answered at once, and asks for the task. */
export function messageParams(version: Version, { messageId, message, data, task, context }: Outgoing): JsonObject {
  const of = { ...(task !== undefined && { taskId: task }), ...(context !== undefined && { contextId: context }) };
  const parts: JsonObject[] = [...(message === undefined ? [] : [{ text: message }]), ...(data ? [{ data }] : [])];
  if (version === '1.0')
    return { message: { messageId, role: 'ROLE_USER', parts, ...of }, configuration: { returnImmediately: true } };
  const named = parts.map((part) => ({ kind: 'text' in part ? 'text' : 'data', ...part }));
  return {
    message: { kind: 'message', messageId, role: 'user', parts: named, ...of },
    configuration: { blocking: false },
  };
}

/** A task as an agent describes it, in the words of 0.3. */
export interface RemoteTask {
  readonly id: string;
  readonly context: string;
  readonly state: string;
  /** Parts of its status' message. */
  readonly says: readonly JsonObject[];
  readonly artifacts: readonly (readonly JsonObject[])[];
}

/** What an agent tells, in either version. */
export type Told =
  | { readonly task: RemoteTask }
  /** It has answered without a task. */
  | { readonly message: readonly JsonObject[]; readonly context: string }
  | { readonly status: { readonly task: string; readonly context: string; readonly state: string } }
  | { readonly artifact: { readonly id: string; readonly text: string; readonly append: boolean } };

/** Reads a result, or an event of a stream. Undefined for something unknown. */
export function toldIn(result: Json): Told | undefined {
  if (!isJsonObject(result)) return undefined;
  const { kind } = result;
  const of = (name: string, legacy: string): JsonObject | undefined => {
    if (isJsonObject(result[name])) return result[name];
    return kind === legacy ? result : undefined;
  };
  const task = of('task', 'task') ?? (kind === undefined && isTask(result) ? result : undefined);
  if (task) return isTask(task) ? { task: taskIn(task) } : undefined;
  const message = of('message', 'message');
  if (message) return { message: partsIn(message), context: textOf(message.contextId) };
  const status = of('statusUpdate', 'status-update');
  if (status)
    return {
      status: { task: textOf(status.taskId), context: textOf(status.contextId), state: stateIn(status.status) },
    };
  const update = of('artifactUpdate', 'artifact-update');
  if (!update || !isJsonObject(update.artifact)) return undefined;
  const id = textOf(update.artifact.artifactId);
  return { artifact: { id, text: textIn(partsIn(update.artifact)), append: update.append === true } };
}

const isTask = ({ id, status }: JsonObject): boolean => typeof id === 'string' && id !== '' && isJsonObject(status);

function taskIn({ id, contextId, status, artifacts }: JsonObject): RemoteTask {
  const { message } = isJsonObject(status) ? status : ({} as JsonObject);
  const listed = Array.isArray(artifacts) ? artifacts : [];
  return {
    id: textOf(id),
    context: textOf(contextId),
    state: stateIn(status),
    says: partsIn(message),
    artifacts: listed.map(partsIn),
  };
}

/** `TASK_STATE_INPUT_REQUIRED` and `input-required` are the same. */
const stateIn = (status: Json | undefined): string =>
  textOf(isJsonObject(status) ? status.state : undefined)
    .replace(/^TASK_STATE_/, '')
    .toLowerCase()
    .replaceAll('_', '-');

function partsIn(of: Json | undefined): readonly JsonObject[] {
  const { parts } = isJsonObject(of) ? of : ({} as JsonObject);
  return Array.isArray(parts) ? parts.filter(isJsonObject) : [];
}

export const textIn = (parts: readonly JsonObject[]): string => parts.map(({ text }) => textOf(text)).join('');

/** Null without any, the data of one part, or a list of several. */
export function dataIn(parts: readonly JsonObject[]): Json {
  const found = parts.flatMap(({ data }) => (data === undefined ? [] : [data]));
  return found.length > 1 ? found : (found[0] ?? null);
}

const textOf = (value: Json | undefined): string => (typeof value === 'string' ? value : '');
