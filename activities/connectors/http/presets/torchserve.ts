import type { PresetInput } from './preset.js';

const path = ['/predictions/{model}/{version}', '/predictions/{model}'];

/**
 * https://pytorch.org/serve/inference_api.html; also what the connector `torchserve-grpc` asks for. The project is in limited
 * maintenance.
 */
export const torchserve: PresetInput = {
  name: 'torchserve',
  title: 'TorchServe (REST)',
  proof: 'server',
  values: { version: { about: 'version of the model; by default the server’s' } },
  base: {
    health: { path: '/ping', ready: { at: '/body/status', is: ['Healthy', 'Partial Healthy'] } },
    message: ['/body/message', '/body'],
    errors: [
      // https://pytorch.org/serve/token_authorization_api.html: a token expires, and the answer is 400.
      { status: 400, when: { at: '/body/type', is: 'InvalidKeyException' }, code: 'BACKEND_UNAUTHORIZED' },
      // A path that it cannot read.
      { status: 403, when: { at: '/body/type', is: 'IllegalArgumentException' }, code: 'BACKEND_REJECTED' },
      {
        status: 404,
        when: { at: '/body/type', has: ['ModelNotFound', 'ModelVersionNotFound'] },
        code: 'MODEL_NOT_FOUND',
      },
      // A model without workers, and, in the same words, one whose queue is full: no model has received the call.
      { status: 503, when: { at: '/body/message', has: 'no worker' }, code: 'BACKEND_UNAVAILABLE', unsent: true },
      { status: 503, when: { at: '/body/message', has: ['queue', 'capacity'] }, code: 'BACKEND_OVERLOADED' },
      // The handler has thrown, or its output is none.
      {
        status: 503,
        when: {
          at: '/body/message',
          has: ['prediction failed', 'model output', 'model predict output', 'batch response mismatched'],
        },
        code: 'BACKEND_ERROR',
      },
      { status: 507, code: 'BACKEND_OVERLOADED' },
      { status: 500, when: { at: '/body/message', has: 'worker died' }, code: 'BACKEND_BROKEN' },
    ],
  },
  kinds: {
    classify: {
      request: { path, bytes: { $file: '/input/image', else: '$/input/text' } },
      response: { output: { scores: '$/body' } },
    },
    embed: { request: { path, bytes: '$/input/text' }, response: { output: { embedding: '$/body' } }, batch: 1 },
    transcribe: {
      request: { path, bytes: { $file: '/input/audio', as: 'wav', sampleRate: 16_000 } },
      response: { output: { text: '$/body' } },
    },
    detect: {
      request: { path, bytes: { $file: '/input/image' } },
      response: { output: { detections: '$/body' } },
    },
    infer: { request: { path, json: { $nested: '/tensor' } }, response: { output: '$/body' } },
    // Of a handler that sends its answer in parts (send_intermediate_predict_response).
    chat: {
      request: { path, bytes: '$/prompt' },
      response: { stream: { as: 'text' }, output: { text: '$/text' } },
    },
  },
};
