import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import { failure, invoke, SimulatedServer } from './openai-server.js';

let server: SimulatedServer;
let backend: Backend;

beforeEach(async () => {
  server = await SimulatedServer.start();
  backend = server.connect();
});
afterEach(() => server.stop());

const answered = (status: number, error: object) => {
  server.json(status, { error });
  return failure(invoke(backend, { kind: 'chat' }));
};

describe('a prompt that is longer than the model’s context', () => {
  it.each([
    ['OpenAI', { message: 'Too long.', code: 'context_length_exceeded' }, undefined],
    [
      'OpenAI, in words',
      {
        message:
          "This model's maximum context length is 16385 tokens. However, your messages resulted in 20022 tokens. Please reduce the length of the messages.",
      },
      16_385,
    ],
    [
      'vLLM',
      {
        message:
          "'max_tokens' or 'max_completion_tokens' is too large: 512. This model's maximum context length is 3000 tokens and your request has 2900 input tokens",
      },
      3_000,
    ],
    ['vLLM', { message: 'The decoder prompt (length 5000) is longer than the maximum model length of 4096.' }, 4_096],
    [
      'llama.cpp',
      {
        message: 'the request exceeds the available context size, try increasing it',
        type: 'exceed_context_size_error',
        n_prompt_tokens: 13_000,
        n_ctx: 3_072,
      },
      3_072,
    ],
    ['SGLang', { message: "The input (9000 tokens) is longer than the model's context length (8192 tokens)." }, 8_192],
    ['TGI', { message: '`inputs` tokens + `max_new_tokens` must be <= 2048. Given: 2000 and 512' }, 2_048],
    ['Anthropic', { message: 'prompt is too long: 210000 tokens > 200000 maximum' }, 200_000],
    [
      'Gemini behind a proxy',
      { message: 'The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).' },
      1_048_576,
    ],
  ])('is CONTEXT_TOO_LONG as %s says it: %j', async (_, error, contextTokens) => {
    const failed = await answered(400, error);
    expect(failed.code, failed.message).toBe('CONTEXT_TOO_LONG');
    expect(failed.details.contextTokens).toBe(contextTokens);
    expect(server.received).toHaveLength(1);
  });

  it('is CONTEXT_TOO_LONG as Gemini says it, in a list', async () => {
    const message = 'The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).';
    server.json(400, [{ error: { code: 400, message, status: 'INVALID_ARGUMENT' } }]);
    expect(await failure(invoke(backend, { kind: 'chat' }))).toMatchObject({
      code: 'CONTEXT_TOO_LONG',
      message: expect.stringContaining(message),
      details: { contextTokens: 1_048_576, neededTokens: 1_100_000 },
    });
  });

  it('is not taken for one of other rejections', async () => {
    for (const message of [
      'max_tokens=90000 cannot be greater than max_model_len=4096. Please request fewer output tokens.',
      'Unknown parameter: context',
      'the image exceeds the limit of 20 MB',
    ])
      expect((await answered(400, { message })).code, message).toBe('BACKEND_REJECTED');
  });
});
