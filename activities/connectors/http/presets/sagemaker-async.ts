import type { DescriptionInput } from '../api.js';
import { chatCompletions, chatErrors, chatFinish, chatUsage } from './chat-completions.js';
import { optional, type PresetInput } from './preset.js';
import { bodies, sagemakerErrors, sagemakerMessages } from './sagemaker.js';

const path = '/endpoints/{model}/async-invocations';

/** Texts of failures, which are objects: the status of the container's answer is in their sentence alone. */
const failures: NonNullable<DescriptionInput['errors']> = [
  {
    status: 424,
    when: { at: '/text', has: [400, 404, 405, 406, 413, 415, 422].map((status) => `client error (${status})`) },
    code: 'BACKEND_REJECTED',
  },
  {
    status: 424,
    when: { at: '/text', has: ['client error (429)', 'server error (503)', 'server error (529)'] },
    code: 'BACKEND_OVERLOADED',
    retryAfterMs: 1_000,
  },
  {
    status: 424,
    when: { at: '/text', has: ['client error (408)', 'server error (504)', 'timed out'] },
    code: 'BACKEND_TIMEOUT',
  },
];

const errors = [...failures, ...sagemakerErrors];

/** Chat completions as one answer: the body of those that are streamed, but for how. */
const { request } = chatCompletions(errors, { path, json: { stream: false, stream_options: { $omit: true } } });

/** https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpointAsync.html */
export const sagemakerAsync: PresetInput = {
  name: 'sagemaker-async',
  title: 'Amazon SageMaker endpoints, asynchronous inference',
  proof: 'fixture',
  values: { region: { about: 'the region of AWS, for the signatures and the buckets', required: true } },
  base: {
    credential: { sign: 'aws-v4', service: 'sagemaker' },
    headers: {
      'x-amzn-sagemaker-accept': 'application/json',
      'x-amzn-sagemaker-inputlocation': optional('/call/object/uri'),
      'x-amzn-sagemaker-content-type': optional('/call/object/type'),
      'x-amzn-sagemaker-inference-id': optional('/call/object/id'),
      // How long the request may wait, and then work: no longer than anybody waits for it.
      'x-amzn-sagemaker-requestttlseconds': { ...optional('/call/leftS'), least: 60, most: 21_600 },
      'x-amzn-sagemaker-invocationtimeoutseconds': { ...optional('/call/leftS'), most: 3_600 },
    },
    message: sagemakerMessages,
    errors,
    objects: {
      output: '$/headers/x-amzn-sagemaker-outputlocation',
      failure: optional('/headers/x-amzn-sagemaker-failurelocation'),
    },
  },
  kinds: {
    // The body of Hugging Face's containers; the answer is the file.
    generate: {
      request: {
        path,
        headers: {
          'x-amzn-sagemaker-accept': { $case: '/with/makes', of: { image: 'image/png' }, default: '*/*' },
        },
        json: { inputs: '$/input/prompt', parameters: '$/with/options' },
      },
      response: { as: 'bytes' },
    },
    chat: {
      ...(request && { request }),
      errors: [...errors, ...chatErrors],
      response: {
        output: { text: '$/body/choices/0/message/content', finish: chatFinish },
        usage: chatUsage,
      },
    },
    ...bodies(path),
  },
};
