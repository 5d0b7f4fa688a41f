import type { PresetInput } from './preset.js';

/** https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol */
export const kserveV1: PresetInput = {
  name: 'kserve-v1',
  title: 'KServe, protocol v1 (:predict)',
  proof: 'server',
  base: {
    health: { path: '/v1/models/{model}', ready: { at: '/body/ready', is: [true, 'True', 'true'] } },
    message: ['/body/error', '/body/detail', '/body'],
    errors: [
      { status: 503, when: { at: '/text', has: 'not ready' }, code: 'BACKEND_UNAVAILABLE', unsent: true },
      // Of a route that is not there it says "Not Found" alone.
      {
        status: 404,
        when: [
          { at: '/text', has: 'model' },
          { at: '/text', has: ['does not exist', 'not found'] },
        ],
        code: 'MODEL_NOT_FOUND',
      },
    ],
  },
  kinds: {
    embed: {
      request: { path: '/v1/models/{model}:predict', json: { instances: '$/texts' } },
      response: { output: { embeddings: '$/body/predictions' } },
    },
    classify: {
      request: { path: '/v1/models/{model}:predict', json: { instances: '$/texts' } },
      response: { output: { results: '$/body/predictions' } },
    },
    rerank: {
      request: {
        path: '/v1/models/{model}:predict',
        json: { instances: '$/pairs' },
      },
      response: { output: { scores: '$/body/predictions' } },
    },
    infer: {
      request: { path: '/v1/models/{model}:predict', json: { instances: { $nested: '/tensor' } } },
      response: { output: '$/body/predictions' },
    },
  },
};
