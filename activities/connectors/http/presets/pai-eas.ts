import type { DescriptionInput } from '../api.js';
import { chatCompletions, FINISH_REASON } from './chat-completions.js';
import { optional, type PresetInput } from './preset.js';

const path = '/api/predict/{model}';

const errors: NonNullable<DescriptionInput['errors']> = [
  { status: 404, code: 'MODEL_NOT_FOUND' },
  // The queue of an instance is full; another may have room.
  { status: 450, code: 'BACKEND_OVERLOADED', retryAfterMs: 500 },
  { status: 429, code: 'BACKEND_RATE_LIMITED', retryAfterMs: 1_000 },
  // Longer than metadata.rpc.keepalive of the service, 5 s by default.
  { status: 408, code: 'BACKEND_TIMEOUT' },
  // No instance is ready.
  { status: 503, code: 'BACKEND_UNAVAILABLE' },
];

const base: DescriptionInput = {
  // The token as it is. `{ "sign": "pai-eas" }` signs with it instead.
  credential: { header: 'authorization' },
  message: ['/body/error/message', '/body/message', FINISH_REASON, '/body'],
  errors,
};

/** What a service takes and answers, at once or through its queues. */
const kinds: PresetInput['kinds'] = {
  embed: { request: { path, json: { texts: '$/texts' } }, response: { output: { embeddings: '$/body' } } },
  classify: { request: { path, json: { text: '$/input/text' } }, response: { output: { scores: '$/body' } } },
  infer: { request: { path, json: { data: { $nested: '/tensor' } } }, response: { output: '$/body' } },
};

/** https://www.alibabacloud.com/help/en/pai/user-guide/status-codes */
export const paiEas: PresetInput = {
  name: 'pai-eas',
  title: 'Alibaba Cloud PAI-EAS',
  proof: 'fixture',
  values: { model: { about: 'the model in the body of a chat; by default the service’s name' } },
  base,
  kinds: {
    chat: chatCompletions(errors, {
      path: `${path}/v1/chat/completions`,
      json: { model: { $from: ['/values/model', '/model'] } },
    }),
    ...kinds,
  },
};

/**
 * A service of asynchronous inference: https://www.alibabacloud.com/help/en/pai/user-guide/access-queue-service, and the vendor's
 * client, https://github.com/pai-eas/eas-python-sdk, eas_prediction/queue_client.py. A call is put into the input queue; its
 * result is taken from the output queue by the call's identifier.
 */
export const paiEasQueue: PresetInput = {
  name: 'pai-eas-queue',
  title: 'Alibaba Cloud PAI-EAS, queue service',
  proof: 'fixture',
  values: { priority: { about: '1: before calls without a priority' } },
  base: {
    ...base,
    job: {
      id: { request: '$/headers/x-eas-queueservice-request-id', index: '$/body' },
      // The server waits for the result as long as that. It stays in the queue, where another attempt finds it.
      poll: taking({ _timeout_: '5s', _auto_delete_: 'false' }),
      // A full queue stops the service. The index in this queue, by which an entry can be deleted, is in no header.
      remove: taking({ _timeout_: '1s', _auto_delete_: 'true' }),
      // Nothing, as long as there is no result.
      done: { at: '/body', exists: true },
      // A call that has begun already is not in the queue any more.
      cancel: { method: 'DELETE', path, query: { _indexes_: '$/job/index' } },
    },
  },
  kinds: Object.fromEntries(Object.entries(kinds).map(([kind, each]) => [kind, queued(each)])),
};

/** A question for the result of a call. */
function taking(query: Readonly<Record<string, string>>) {
  return { method: 'GET' as const, path: `${path}/sink`, query: { requestId: '$/job/request', ...query } };
}

/** The priority of the pool's calls, where they have one. */
function queued(description: DescriptionInput): DescriptionInput {
  return { ...description, request: { ...description.request, query: { _priority_: optional('/values/priority') } } };
}
