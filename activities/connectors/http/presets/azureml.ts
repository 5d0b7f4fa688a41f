import type { PresetInput } from './preset.js';

const path = ['/{route}', '/score'];
const inside = '/headers/ms-azureml-model-error-statuscode';

/**
 * https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints: an answer of the model that
 * is no success is 424, with the model's own status in a header.
 */
export const azureml: PresetInput = {
  name: 'azureml',
  title: 'Azure Machine Learning online endpoints',
  proof: 'fixture',
  values: {
    deployment: { about: 'the deployment that gets every call; by default the endpoint’s traffic rules choose' },
    route: { about: 'the scoring route; by default score' },
  },
  base: {
    headers: {
      'azureml-model-deployment': { $from: '/values/deployment', optional: true },
      'x-ms-client-request-id': { $from: '/call/idempotencyKey', optional: true },
    },
    message: ['/body/error/message', '/body/message', '/headers/ms-azureml-model-error-reason', '/body'],
    errors: [
      { status: 424, when: { at: inside, is: ['429', '503', '529'] }, code: 'BACKEND_OVERLOADED', retryAfterMs: 1_000 },
      { status: 424, when: { at: inside, is: ['408', '504'] }, code: 'BACKEND_TIMEOUT' },
      { status: 424, when: { at: inside, is: ['400', '404', '405', '413', '415', '422'] }, code: 'BACKEND_REJECTED' },
      { status: 424, code: 'BACKEND_ERROR' },
      // No deployment of the endpoint has traffic, or the one that was named is none of its own.
      { status: 404, code: 'MODEL_NOT_FOUND' },
      // Too many waiting requests, or the region's limit: both pass.
      { status: 429, code: 'BACKEND_RATE_LIMITED', retryAfterMs: 1_000 },
      // A token of Microsoft Entra has expired, or the key was regenerated.
      { status: [401, 403], code: 'BACKEND_UNAUTHORIZED' },
      // Of a Kubernetes endpoint: run() has thrown or crashed, so the container had the call.
      { status: 502, code: 'BACKEND_ERROR' },
      // Another operation on the endpoint is under way.
      { status: 409, code: 'BACKEND_UNAVAILABLE' },
    ],
  },
  kinds: {
    embed: { request: { path, json: { texts: '$/texts' } }, response: { output: { embeddings: '$/body' } } },
    classify: { request: { path, json: { text: '$/input/text' } }, response: { output: { scores: '$/body' } } },
    infer: { request: { path, json: { data: { $nested: '/tensor' } } }, response: { output: '$/body' } },
  },
};
