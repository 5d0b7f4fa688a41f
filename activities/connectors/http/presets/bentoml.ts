import type { DescriptionInput } from '../api.js';
import type { PresetInput } from './preset.js';

/** https://docs.bentoml.com: an endpoint is a route of its own, with the arguments of its method as JSON. */
const base: DescriptionInput = {
  health: { path: '/readyz' },
  message: ['/body/error', '/body/detail', '/body'],
  errors: [
    { status: 404, code: 'MODEL_NOT_FOUND' },
    // `max_concurrency` of the service is reached.
    { status: 429, code: 'BACKEND_OVERLOADED', retryAfterMs: 1_000 },
    { status: 503, when: { at: '/text', has: ['too many', 'busy', 'overload'] }, code: 'BACKEND_OVERLOADED' },
    { status: 504, code: 'BACKEND_TIMEOUT' },
    // The reason of a task that was cancelled there.
    { status: 400, when: { at: '/body/error', has: 'not completed yet' }, code: 'BACKEND_ERROR' },
  ],
};

const values = { route: { about: 'the endpoint’s route; by default the pool’s model' } };
const at = (action: string) => [`/{route}${action}`, `/{model}${action}`];

/** Arguments and answers by kind; a service with other names says so in `request` and `response`. */
const kinds = (path: string[]): Record<string, DescriptionInput> => ({
  embed: { request: { path, json: { texts: '$/texts' } }, response: { output: { embeddings: '$/body' } } },
  classify: { request: { path, json: { text: '$/input/text' } }, response: { output: { scores: '$/body' } } },
  rerank: {
    request: { path, json: { query: '$/input/query', texts: '$/texts' } },
    response: { output: { scores: '$/body' } },
  },
  infer: { request: { path, json: { $nested: '/input' } }, response: { output: '$/body' } },
});

export const bentoml: PresetInput = {
  name: 'bentoml',
  title: 'BentoML',
  proof: 'server',
  values,
  base,
  kinds: {
    ...kinds(at('')),
    chat: {
      request: { path: at(''), json: { prompt: '$/prompt', max_tokens: '$/given/maxTokens' } },
      response: { stream: { as: 'text' }, output: { text: '$/text' } },
    },
    transcribe: {
      request: {
        path: at(''),
        multipart: { audio: { $file: '/input/audio', as: 'wav', sampleRate: 16_000, name: 'audio.wav' } },
      },
      response: { output: { text: '$/body' } },
    },
  },
};

const task = (action: string) => ({ path: at(action), query: { task_id: '$/job' } });

/** Endpoints that are tasks: submitted, asked for, fetched, cancelled. */
export const bentomlTask: PresetInput = {
  name: 'bentoml-task',
  title: 'BentoML, task endpoints',
  proof: 'server',
  values,
  base: {
    ...base,
    job: {
      id: '$/body/task_id',
      poll: { method: 'GET', ...task('/status') },
      done: { at: '/body/status', is: 'completed' },
      failed: { at: '/body/status', is: ['failed', 'canceled'] },
      result: { method: 'GET', ...task('/get') },
      reason: { method: 'GET', ...task('/get') },
      cancel: { method: 'PUT', ...task('/cancel') },
    },
  },
  kinds: kinds(at('/submit')),
};
