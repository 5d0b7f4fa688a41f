import type { DescriptionInput } from '../api.js';
import { chatCompletions, FINISH_REASON } from './chat-completions.js';
import type { PresetInput } from './preset.js';

const path = ['/{route}', '/score'];
const inside = '/headers/ms-azureml-model-error-statuscode';

const errors: NonNullable<DescriptionInput['errors']> = [
  // Of the inference server in the container, also behind the endpoint: run() was ended.
  { status: [424, 500], when: { at: '/body/message', has: 'scoring timeout' }, code: 'BACKEND_TIMEOUT' },
  { status: 424, when: { at: inside, is: ['429', '503', '529'] }, code: 'BACKEND_OVERLOADED', retryAfterMs: 1_000 },
  { status: 424, when: { at: inside, is: ['408', '504'] }, code: 'BACKEND_TIMEOUT' },
  { status: 424, when: { at: inside, is: ['400', '404', '405', '413', '415', '422'] }, code: 'BACKEND_REJECTED' },
  { status: 424, code: 'BACKEND_ERROR' },
  // Of the inference server: a route that it does not have.
  { status: 404, when: { at: '/body/message', has: 'requested URL was not found' }, code: 'BACKEND_REJECTED' },
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
];

/**
 * https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints: an answer of the model that
 * is no success is 424, with the model's own status in a header.
 */
export const azureml: PresetInput = {
  name: 'azureml',
  title: 'Azure Machine Learning online endpoints',
  proof: 'container',
  values: {
    deployment: { about: 'the deployment that gets every call; by default the endpoint’s traffic rules choose' },
    route: { about: 'the scoring route; by default score, of a chat v1/chat/completions' },
    model: { about: 'the model in the body of a chat; by default the pool’s' },
    usage: { about: 'true: a chat asks for the tokens that it has used' },
  },
  base: {
    headers: {
      'azureml-model-deployment': { $from: '/values/deployment', optional: true },
      // The server refuses one of more than 100 characters, which the call's key may have.
      'x-ms-client-request-id': { $from: '/call/traceparent', optional: true },
    },
    message: ['/body/error/message', '/body/message', '/headers/ms-azureml-model-error-reason', FINISH_REASON, '/body'],
    errors,
  },
  kinds: {
    chat: chatCompletions(errors, {
      path: ['/{route}', '/v1/chat/completions'],
      json: {
        model: { $from: ['/values/model', '/model'] },
        // Some models of the catalogue, Mistral's among them, refuse a call with a member that they do not know.
        stream_options: { $case: '/values/usage', of: { true: { include_usage: true } }, default: { $omit: true } },
      },
    }),
    embed: { request: { path, json: { texts: '$/texts' } }, response: { output: { embeddings: '$/body' } } },
    classify: { request: { path, json: { text: '$/input/text' } }, response: { output: { scores: '$/body' } } },
    infer: { request: { path, json: { data: { $nested: '/tensor' } } }, response: { output: '$/body' } },
  },
};
