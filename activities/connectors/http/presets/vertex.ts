import type { DescriptionInput } from '../api.js';
import { chatCompletions, FINISH_REASON } from './chat-completions.js';
import type { PresetInput } from './preset.js';

const endpoint = '/v1/projects/{project}/locations/{location}/endpoints/{model}';
const path = [`${endpoint}:{method}`, `${endpoint}:predict`];
const state = '/body/error/status';

const errors: NonNullable<DescriptionInput['errors']> = [
  { status: 429, when: { at: '/text', has: 'not yet ready' }, code: 'BACKEND_UNAVAILABLE', unsent: true },
  { status: 429, code: 'BACKEND_RATE_LIMITED', retryAfterMs: 1_000 },
  { status: 404, code: 'MODEL_NOT_FOUND' },
  { status: [401, 403], code: 'BACKEND_UNAUTHORIZED' },
  // In a stream an error is an event.
  { status: 200, when: { at: state, is: 'RESOURCE_EXHAUSTED' }, code: 'BACKEND_RATE_LIMITED', retryAfterMs: 1_000 },
  { status: 200, when: { at: state, exists: true }, code: 'BACKEND_ERROR' },
];

/**
 * https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.endpoints. The statuses are those of
 * https://cloud.google.com/apis/design/errors.
 */
export const vertex: PresetInput = {
  name: 'vertex',
  title: 'Vertex AI endpoints',
  proof: 'container',
  values: {
    project: { about: 'the project’s identifier or number', required: true },
    location: { about: 'the region', required: true },
    model: { about: 'the model in the body of a chat; by default the endpoint’s identifier' },
    method: { about: 'rawPredict: bodies are the container’s; by default predict' },
  },
  base: {
    credential: { token: 'google' },
    message: ['/body/error/message', '/body/0/error/message', FINISH_REASON, '/body'],
    errors,
  },
  kinds: {
    chat: chatCompletions(errors, {
      path: `${endpoint}:streamRawPredict`,
      json: { model: { $from: ['/values/model', '/model'] } },
    }),
    embed: {
      request: { path, json: { instances: '$/texts' } },
      response: { output: { embeddings: '$/body/predictions' } },
    },
    classify: {
      request: { path, json: { instances: '$/texts' } },
      response: { output: { results: '$/body/predictions' } },
    },
    infer: {
      request: { path, json: { instances: { $nested: '/tensor' } } },
      response: { output: '$/body/predictions' },
    },
  },
};
