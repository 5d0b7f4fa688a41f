import { optional, type PresetInput } from './preset.js';

/** https://huggingface.co/docs/text-generation-inference/reference/api_reference. The project is in maintenance mode. */
export const tgi: PresetInput = {
  name: 'tgi',
  title: 'Text Generation Inference (generate_stream)',
  proof: 'fixture',
  base: {
    health: { path: '/health' },
    identity: { path: '/info', at: ['/body/model_id', '/body/model_sha'] },
    message: ['/body/error', '/body'],
    errors: [
      {
        status: [422, 200],
        when: { at: '/body/error', has: ['tokens + `max_new_tokens` must be', 'must have less than'] },
        code: 'CONTEXT_TOO_LONG',
      },
      { status: [200, 422], when: { at: '/body/error_type', is: 'validation' }, code: 'BACKEND_REJECTED' },
      {
        status: [200, 429],
        when: { at: '/body/error_type', is: 'overloaded' },
        code: 'BACKEND_OVERLOADED',
        retryAfterMs: 1_000,
      },
      { status: [200, 424, 500], when: { at: '/body/error_type', exists: true }, code: 'BACKEND_ERROR' },
      { status: 503, when: { at: '/body/error_type', is: 'healthcheck' }, code: 'BACKEND_UNAVAILABLE', unsent: true },
    ],
  },
  kinds: {
    chat: {
      request: {
        path: '/generate_stream',
        json: {
          inputs: '$/prompt',
          parameters: {
            max_new_tokens: optional('/given/maxTokens'),
            // Greedy without one: the server refuses 0.
            temperature: {
              $case: '/given/temperature',
              of: { '0': { $omit: true } },
              default: optional('/given/temperature'),
            },
            do_sample: { $case: '/given/temperature', of: { '0': false }, default: true },
            // The whole distribution without one: the server refuses 1.
            top_p: { $case: '/given/topP', of: { '1': { $omit: true } }, default: optional('/given/topP') },
            top_k: optional('/given/topK'),
            seed: optional('/given/seed'),
            stop: optional('/given/stop'),
            frequency_penalty: optional('/given/frequencyPenalty'),
            details: true,
          },
        },
      },
      response: {
        stream: {
          as: 'sse',
          delta: '/body/token/text',
          skip: { at: '/body/token/special', is: true },
          end: { at: '/body/generated_text', exists: true },
        },
        output: {
          text: '$/text',
          finish: { $case: '/body/details/finish_reason', of: { length: 'length' }, default: 'stop' },
        },
        usage: { inputTokens: '/body/details/input_length', outputTokens: '/body/details/generated_tokens' },
      },
    },
  },
};
