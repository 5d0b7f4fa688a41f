import { expect, it } from 'vitest';
import { contextTokensIn, neededTokensIn } from '../../../../activities/connectors/openai/context-overflow.js';

/** Texts of servers that do not run here, from their sources; those of vLLM 0.32 and llama.cpp are recorded in fixtures. */
it.each([
  [
    "This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion).",
    { needed: 122_946, limit: 16_384 },
  ],
  [
    "This model's maximum context length is 2048 tokens. However, your request has 8 input tokens plus 2045 'max_tokens'.",
    { needed: 2_053, limit: 2_048 },
  ],
  [
    "You passed 5001 input tokens and requested 10 output tokens. However, the model's context length is only 4096 tokens.",
    { needed: 5_011, limit: 4_096 },
  ],
  ["The input (5001 tokens) is longer than the model's context length (4096 tokens).", { needed: 5_001, limit: 4_096 }],
  [
    "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5000 tokens: 4000 tokens from the input messages and 1000 tokens for the completion.",
    { needed: 5_000, limit: 4_096 },
  ],
  [
    '`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 1000 `max_new_tokens`',
    { needed: 5_000, limit: 4_096 },
  ],
  [
    "This model's maximum context length is 128000 tokens. However, your messages resulted in 130011 tokens.",
    { needed: 130_011, limit: 128_000 },
  ],
])('%s', (text, { needed, limit }) => {
  expect(neededTokensIn(undefined, text)).toBe(needed);
  expect(contextTokensIn(undefined, text)).toBe(limit);
});

it('has no numbers where the server names none', () => {
  expect(neededTokensIn(undefined, 'context_length_exceeded: shorten it')).toBeUndefined();
});
