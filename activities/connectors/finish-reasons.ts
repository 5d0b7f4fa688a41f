/*
 * What the `finish_reason` of a chat completion says, by the servers' documentation. Every other reason is the end of a whole
 * reply: OpenAI's own `stop` and `tool_calls`, and the names that other servers have for them (`eos`, `stop_sequence`, `end_turn`).
 */

/**
 * The server broke the reply off. `abort`: vLLM and SGLang; `error`: vLLM, Mistral, and OpenRouter when the server behind it fails;
 * `insufficient_system_resource`: DeepSeek; `network_error`: GLM, when inference fails.
 */
export const BROKEN_OFF: readonly string[] = ['abort', 'error', 'insufficient_system_resource', 'network_error'];

/**
 * A filter withheld the reply, or its rest: reasons that contain one of these. `content_filter`: OpenAI and Azure; Gemini adds the cause,
 * `content_filter: RECITATION`. `sensitive`: GLM. The others are names of Anthropic and Gemini that gateways pass on.
 */
export const FILTERED: readonly string[] = [
  'content_filter',
  'sensitive',
  'refusal',
  'safety',
  'recitation',
  'blocklist',
  'prohibited_content',
  'spii',
];

/**
 * The server cannot read the tool call that the model wrote: reasons that contain one of these. Gemini:
 * `function_call_filter: MALFORMED_FUNCTION_CALL`.
 */
export const UNREADABLE_CALL: readonly string[] = ['function_call_filter', 'malformed_function_call'];

/** Whether a reason contains one of these, whatever the case of its letters. */
export const containsOneOf = (reason: unknown, names: readonly string[]): boolean => {
  const text = String(reason).toLowerCase();
  return names.some((name) => text.includes(name));
};

/** A limit cut the reply: that of the call or of the model's context. `model_length`: Mistral; `model_context_window_exceeded`: GLM. */
export const CUT: readonly string[] = ['length', 'model_length', 'model_context_window_exceeded'];
