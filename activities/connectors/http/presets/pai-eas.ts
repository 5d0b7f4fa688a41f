import type { DescriptionInput } from '../api.js';
import { chatCompletions } from './chat-completions.js';
import type { PresetInput } from './preset.js';

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

/** https://www.alibabacloud.com/help/en/pai/user-guide/status-codes */
export const paiEas: PresetInput = {
  name: 'pai-eas',
  title: 'Alibaba Cloud PAI-EAS',
  proof: 'fixture',
  values: { model: { about: 'the model in the body of a chat; by default the service’s name' } },
  base: {
    // The token as it is. `{ "sign": "pai-eas" }` signs with it instead.
    credential: { header: 'authorization' },
    message: ['/body/error/message', '/body/message', '/body'],
    errors,
  },
  kinds: {
    chat: chatCompletions(errors, {
      path: `${path}/v1/chat/completions`,
      json: { model: { $from: ['/values/model', '/model'] } },
    }),
    embed: { request: { path, json: { texts: '$/texts' } }, response: { output: { embeddings: '$/body' } } },
    classify: { request: { path, json: { text: '$/input/text' } }, response: { output: { scores: '$/body' } } },
    infer: { request: { path, json: { data: { $nested: '/tensor' } } }, response: { output: '$/body' } },
  },
};
