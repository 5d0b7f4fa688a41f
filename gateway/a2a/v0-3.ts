import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { Artifact, Message, Part, PushConfig, Task, TaskState, TaskStatus } from './protocol.js';
import type { Wire } from './wire.js';

/** Methods of 0.3, with their names in 1.0. */
const METHODS: ReadonlyMap<string, string> = new Map([
  ['message/send', 'SendMessage'],
  ['message/stream', 'SendStreamingMessage'],
  ['tasks/get', 'GetTask'],
  ['tasks/cancel', 'CancelTask'],
  ['tasks/resubscribe', 'SubscribeToTask'],
  ['tasks/pushNotificationConfig/set', 'CreateTaskPushNotificationConfig'],
  ['tasks/pushNotificationConfig/get', 'GetTaskPushNotificationConfig'],
  ['tasks/pushNotificationConfig/list', 'ListTaskPushNotificationConfigs'],
  ['tasks/pushNotificationConfig/delete', 'DeleteTaskPushNotificationConfig'],
  ['agent/getAuthenticatedExtendedCard', 'GetExtendedAgentCard'],
]);

const STATES: Readonly<Record<TaskState, string>> = {
  TASK_STATE_SUBMITTED: 'submitted',
  TASK_STATE_WORKING: 'working',
  TASK_STATE_INPUT_REQUIRED: 'input-required',
  TASK_STATE_COMPLETED: 'completed',
  TASK_STATE_FAILED: 'failed',
  TASK_STATE_CANCELED: 'canceled',
};
const ENDS: ReadonlySet<TaskState> = new Set(['TASK_STATE_COMPLETED', 'TASK_STATE_FAILED', 'TASK_STATE_CANCELED']);

/** Set in the metadata of data that are no object, which 0.3 cannot write: its SDKs then read the field `value`. */
const WRAPPED = 'data_part_compat';

/** Version 0.3: methods are paths, kinds stand beside what they tell apart, states and roles are in lower case, and a result is not wrapped. */
export const V0_3: Wire = {
  version: '0.3',
  methods: [...METHODS.keys()],
  methodOf: (name) => METHODS.get(name),
  paramsOf(method, params) {
    if (!isJsonObject(params)) return params;
    if (SENDS.has(method)) return sendOf(params);
    if (method === 'CreateTaskPushNotificationConfig')
      return { ...pushOf(params.pushNotificationConfig), taskId: params.taskId ?? '' };
    return method.includes('TaskPushNotificationConfig') ? ofPush(params) : params;
  },
  resultOf(result) {
    if ('nothing' in result) return null;
    if ('configs' in result) return result.configs.map(pushConfigOf);
    if ('url' in result) return pushConfigOf(result);
    return taskOf('task' in result ? result.task : result);
  },
  notificationType: 'application/json',
  eventOf(event, turnEnds) {
    if ('task' in event) return taskOf(event.task);
    if ('artifactUpdate' in event) {
      const { artifact, ...update } = event.artifactUpdate;
      return { kind: 'artifact-update', ...update, artifact: artifactOf(artifact) };
    }
    const { status, ...update } = event.statusUpdate;
    const final = ENDS.has(status.state) || (turnEnds && status.state === 'TASK_STATE_INPUT_REQUIRED');
    return { kind: 'status-update', ...update, status: statusOf(status), final };
  },
};

const SENDS: ReadonlySet<string> = new Set(['SendMessage', 'SendStreamingMessage']);

function sendOf({ message, configuration, ...rest }: JsonObject): JsonObject {
  return {
    ...rest,
    ...(message !== undefined && { message: isJsonObject(message) ? sentMessage(message) : message }),
    ...(configuration !== undefined && {
      configuration: isJsonObject(configuration) ? sentConfiguration(configuration) : configuration,
    }),
  };
}

function sentMessage({ role, parts, ...message }: JsonObject): JsonObject {
  return {
    ...message,
    ...(role !== undefined && { role: role === 'user' ? 'ROLE_USER' : 'ROLE_UNSPECIFIED' }),
    ...(parts !== undefined && { parts: Array.isArray(parts) ? parts.map(sentPart) : parts }),
  };
}

/** A part of another kind becomes one without content. */
function sentPart(part: Json): Json {
  if (!isJsonObject(part)) return part;
  const { kind, text, data, file, metadata } = part;
  if (kind === 'text' && text !== undefined) return { text };
  if (kind === 'data' && data !== undefined) {
    const isWrapped = isJsonObject(metadata) && metadata[WRAPPED] === true && isJsonObject(data);
    return { data: isWrapped ? (data.value ?? null) : data };
  }
  if (kind !== 'file' || !isJsonObject(file)) return {};
  const { bytes, uri, mimeType, name } = file;
  return {
    ...(bytes !== undefined && { raw: bytes }),
    ...(uri !== undefined && { url: uri }),
    ...(mimeType !== undefined && { mediaType: mimeType }),
    ...(name !== undefined && { filename: name }),
  };
}

/** Whoever does not say otherwise waits. */
function sentConfiguration({ blocking, pushNotificationConfig, ...configuration }: JsonObject): JsonObject {
  return {
    ...configuration,
    ...(blocking !== undefined && { returnImmediately: typeof blocking === 'boolean' ? !blocking : blocking }),
    ...(pushNotificationConfig !== undefined && { taskPushNotificationConfig: pushOf(pushNotificationConfig) }),
  };
}

/** Of several schemes the first, in which the credentials are. */
function pushOf(given: Json = {}): JsonObject {
  if (!isJsonObject(given)) return {};
  const { authentication, ...config } = given;
  if (authentication === undefined) return config;
  if (!isJsonObject(authentication)) return { ...config, authentication };
  const { schemes, ...others } = authentication;
  return {
    ...config,
    authentication: { ...others, scheme: Array.isArray(schemes) ? (schemes[0] ?? '') : (schemes ?? '') },
  };
}

const ofPush = ({ id = '', pushNotificationConfigId = '' }: JsonObject): JsonObject => ({
  taskId: id,
  id: pushNotificationConfigId,
});

const pushConfigOf = ({ taskId, authentication, ...config }: PushConfig): object => {
  const { scheme, ...others } = authentication ?? { scheme: '' };
  return {
    taskId,
    pushNotificationConfig: { ...config, ...(scheme !== '' && { authentication: { ...others, schemes: [scheme] } }) },
  };
};

const taskOf = ({ status, artifacts, ...task }: Task): object => ({
  kind: 'task',
  ...task,
  status: statusOf(status),
  ...(artifacts && { artifacts: artifacts.map(artifactOf) }),
});

const statusOf = ({ state, message, ...status }: TaskStatus): object => ({
  ...status,
  state: STATES[state],
  ...(message && { message: messageOf(message) }),
});

const messageOf = ({ parts, ...message }: Message): object => ({
  kind: 'message',
  ...message,
  role: 'agent',
  parts: parts.map(partOf),
});

const artifactOf = ({ parts, ...artifact }: Artifact): object => ({ ...artifact, parts: parts.map(partOf) });

/** The type of a text or of data has no place in 0.3. */
function partOf({ mediaType, filename, metadata, ...content }: Part): object {
  const about = metadata && { metadata };
  if ('text' in content) return { kind: 'text', text: content.text, ...about };
  if ('data' in content) {
    const { data } = content;
    if (isJsonObject(data)) return { kind: 'data', data, ...about };
    return { kind: 'data', data: { value: data }, metadata: { ...metadata, [WRAPPED]: true } };
  }
  const where = 'raw' in content ? { bytes: content.raw } : { uri: content.url };
  const file = { ...where, ...(mediaType && { mimeType: mediaType }), ...(filename && { name: filename }) };
  return { kind: 'file', file, ...about };
}
