import type { DescriptionInput } from '../api.js';
import { chatCompletions, FINISH_REASON } from './chat-completions.js';
import { optional, type PresetInput } from './preset.js';

const path = '/endpoints/{model}';

/** The status of the model's own answer, inside a 424. */
const inside = '/body/OriginalStatusCode';
const type = '/headers/x-amzn-errortype';

/** What the front of all endpoints answers, and what containers do inside a 424. */
export const sagemakerErrors: NonNullable<DescriptionInput['errors']> = [
  // Status 0: the platform has ended the wait for the container, after 60 s, or the container has died.
  {
    status: 424,
    when: [
      { at: inside, is: 0 },
      { at: '/text', has: 'invocation timed out' },
    ],
    code: 'BACKEND_TIMEOUT',
  },
  {
    status: 424,
    when: [
      { at: inside, is: 0 },
      { at: '/text', has: 'utilization is high' },
    ],
    code: 'BACKEND_OVERLOADED',
    retryAfterMs: 1_000,
  },
  { status: 424, when: { at: inside, is: [408, 504] }, code: 'BACKEND_TIMEOUT' },
  { status: 424, when: { at: inside, is: [429, 503, 529] }, code: 'BACKEND_OVERLOADED', retryAfterMs: 1_000 },
  { status: 424, when: { at: inside, is: [400, 404, 405, 406, 413, 415, 422] }, code: 'BACKEND_REJECTED' },
  { status: 424, code: 'BACKEND_ERROR' },
  // A serverless variant starts, or a multi-model endpoint loads the model: no model has received the call.
  {
    status: 429,
    when: { at: type, has: 'ModelNotReady' },
    code: 'BACKEND_UNAVAILABLE',
    unsent: true,
    retryAfterMs: 2_000,
  },
  { status: [400, 429], when: { at: type, has: 'Throttling' }, code: 'BACKEND_RATE_LIMITED', retryAfterMs: 1_000 },
  // Keys or tokens that are wrong or have expired, and a clock that is wrong.
  {
    status: 400,
    when: {
      at: type,
      has: ['ExpiredToken', 'UnrecognizedClient', 'InvalidSignature', 'IncompleteSignature', 'MissingAuthentication'],
    },
    code: 'BACKEND_UNAUTHORIZED',
  },
  // https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
  {
    status: 400,
    when: { at: '/text', has: ['no capacity to process', 'has no copies'] },
    code: 'BACKEND_UNAVAILABLE',
    unsent: true,
    retryAfterMs: 10_000,
  },
  { status: 400, when: { at: '/text', has: 'not found' }, code: 'MODEL_NOT_FOUND' },
  { status: 503, code: 'BACKEND_UNAVAILABLE' },
];

/** Where an answer says why it is none: the front's, and a container's own. */
export const sagemakerMessages = [
  ...['/body/OriginalMessage', '/body/Message', '/body/message', '/body/error/message'],
  ...[FINISH_REASON, '/body'],
];

/** Requests and answers of containers of Hugging Face and TensorFlow by kind, at a path of an endpoint. */
export const bodies = (path: string): Record<string, DescriptionInput> => ({
  embed: { request: { path, json: { inputs: '$/texts' } }, response: { output: { embeddings: '$/body' } } },
  classify: { request: { path, json: { inputs: '$/input/text' } }, response: { output: { scores: '$/body' } } },
  transcribe: {
    request: { path, bytes: { $file: '/input/audio', as: 'wav', sampleRate: 16_000 }, contentType: 'audio/x-wav' },
    response: { output: { text: '$/body/text' } },
  },
  infer: {
    request: { path, json: { instances: { $nested: '/tensor' } } },
    response: { output: '$/body/predictions' },
  },
});

/**
 * https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html. Bodies are the container's:
 * those here are the ones of Hugging Face's and TensorFlow's containers.
 */
export const sagemaker: PresetInput = {
  name: 'sagemaker',
  title: 'Amazon SageMaker endpoints',
  proof: 'container',
  values: {
    region: { about: 'the region of AWS, for the signature', required: true },
    variant: { about: 'the variant that gets every call; by default the endpoint’s weights choose' },
    component: { about: 'the inference component' },
    targetModel: { about: 'the file of a model of a multi-model endpoint' },
    container: { about: 'the container of a multi-container endpoint' },
    session: { about: 'a stateful session: NEW_SESSION, or the identifier of one' },
  },
  base: {
    credential: { sign: 'aws-v4', service: 'sagemaker' },
    headers: {
      accept: 'application/json',
      'x-amzn-sagemaker-target-variant': optional('/values/variant'),
      'x-amzn-sagemaker-inference-component': optional('/values/component'),
      'x-amzn-sagemaker-target-model': optional('/values/targetModel'),
      'x-amzn-sagemaker-target-container-hostname': optional('/values/container'),
      'x-amzn-sagemaker-session-id': optional('/values/session'),
    },
    message: sagemakerMessages,
    errors: sagemakerErrors,
  },
  kinds: {
    // InvokeEndpointWithResponseStream, with the body of chat completions as the containers of vLLM, LMI and TGI take it.
    chat: chatCompletions(
      sagemakerErrors,
      { path: `${path}/invocations-response-stream`, headers: { 'x-amzn-sagemaker-accept': 'text/event-stream' } },
      'aws-event-stream',
    ),
    ...bodies(`${path}/invocations`),
  },
};
