import { APIError } from 'openai/core/error';

/** Types and codes of the error: llama.cpp, OpenAI and its many copies, LiteLLM. */
const TYPES = /exceed_context_size|context_length_exceeded|ContextWindowExceeded/i;

/**
 * Texts of vLLM ("This model's maximum context length is …", "longer than the maximum model length"), llama.cpp ("exceeds
 * the available context size", "context shift is disabled"), SGLang ("longer than the model's context length"), TGI
 * ("`inputs` tokens + `max_new_tokens` must be"), Anthropic ("prompt is too long: … tokens"), Gemini ("input token count … exceeds the maximum").
 */
const TEXTS = new RegExp(
  [
    'maximum context length',
    'maximum model length',
    'context (?:length|size|window)\\b.{0,80}\\bexceed',
    'exceeds?\\b.{0,80}\\bcontext (?:length|size|window)',
    'longer than the (?:model.s )?context',
    'context shift is disabled',
    'max_new_tokens`? must be',
    'prompt is too long: \\d+ tokens',
    'input token count\\b.{0,80}\\bexceeds the maximum',
  ].join('|'),
  'i',
);

/** Whether the server rejects a call because its prompt, with the reply, is longer than the model's context. */
export const overflows = (error: APIError, text: string): boolean =>
  TYPES.test(`${error.type ?? ''} ${error.code ?? ''}`) || TEXTS.test(text);

/** Where the texts state the context's size. */
const SIZES: readonly RegExp[] = [
  /context (?:length|size) \((\d{3,9}) tokens?\)/i,
  /context (?:length|size|window)(?: is)?(?: only)?(?: of)? ?\(?(\d{3,9})/i,
  /maximum model length of (\d{3,9})/i,
  /must be <= (\d{3,9})/i,
  /tokens > (\d{3,9}) maximum/i,
  /maximum number of tokens allowed \(?(\d{3,9})/i,
];

/** The context's size in tokens, if the error states it. */
export function contextTokensIn(error: unknown, text: string): number | undefined {
  const { n_ctx: field } = (error instanceof APIError ? (error.error ?? {}) : {}) as { n_ctx?: unknown };
  if (typeof field === 'number' && field > 0) return field;
  const found = SIZES.map((size) => size.exec(text)?.[1]).find((each) => each !== undefined);
  return found === undefined ? undefined : Number(found);
}

/** Where the texts state what the call needs: the sum, where they count the reply's limit too. */
const NEEDS: readonly RegExp[] = [
  /requested a total of (\d+) tokens/i,
  /you requested (\d+) tokens/i,
  /resulted in (\d+) tokens/i,
  /input \((\d+) tokens?\)/i,
  /request \((\d+) tokens?\)/i,
  /prompt \(length (\d+)\)/i,
  /prompt is too long: (\d+) tokens/i,
  /input token count \(?(\d+)/i,
];
/** vLLM and TGI state the prompt's tokens and the reply's limit one by one. */
const OF_PROMPT = /(?:passed|contains|has)(?: at least)? (\d+) input tokens|(\d+) `inputs` tokens/i;
const OF_REPLY = /is too large: (\d+)|(?:requested|plus) (\d+) (?:output tokens|'max_tokens')|(\d+) `max_new_tokens`/i;

/** The tokens that the call needs, if the error states them: those of the prompt, or with the reply's limit. */
export function neededTokensIn(error: unknown, text: string): number | undefined {
  const { n_prompt_tokens: field } = Object(error instanceof APIError ? error.error : {}) as {
    n_prompt_tokens?: unknown;
  };
  if (typeof field === 'number' && field > 0) return field;
  const sum = NEEDS.map((need) => numberIn(need, text)).find((each) => each !== undefined);
  if (sum !== undefined) return sum;
  const prompt = numberIn(OF_PROMPT, text);
  return prompt === undefined ? undefined : prompt + (numberIn(OF_REPLY, text) ?? 0);
}

function numberIn(pattern: RegExp, text: string): number | undefined {
  const found = pattern
    .exec(text)
    ?.slice(1)
    .find((group) => group !== undefined);
  return found === undefined ? undefined : Number(found);
}
