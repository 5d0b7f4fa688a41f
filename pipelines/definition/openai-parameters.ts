/** `chat`: chat completions and responses. The other surfaces are named after their endpoints. */
export const OPENAI_SURFACES = ['chat', 'embeddings', 'transcription', 'speech', 'images'] as const;
/** Endpoints of OpenAI’s API for which a pipeline can be a model. */
export type OpenAiSurface = (typeof OPENAI_SURFACES)[number];

/**
 * OpenAI request parameters that change the answer, and the input field that receives each. A request with a parameter
 * whose field the pipeline lacks is refused. The gateway maps the Responses API's own names to these.
 */
export const OPENAI_PARAMETERS: Readonly<Record<OpenAiSurface, Readonly<Record<string, string>>>> = {
  chat: {
    temperature: 'temperature',
    top_p: 'topP',
    top_k: 'topK',
    min_p: 'minP',
    logprobs: 'logprobs',
    max_tokens: 'maxTokens',
    stop: 'stop',
    seed: 'seed',
    presence_penalty: 'presencePenalty',
    frequency_penalty: 'frequencyPenalty',
    tools: 'tools',
    tool_choice: 'toolChoice',
    parallel_tool_calls: 'parallelToolCalls',
    response_format: 'output',
    reasoning_effort: 'reasoningEffort',
    verbosity: 'verbosity',
    user: 'user',
  },
  embeddings: { dimensions: 'dimensions' },
  transcription: { language: 'language', prompt: 'prompt', temperature: 'temperature' },
  speech: { voice: 'voice', speed: 'speed', instructions: 'instructions' },
  images: {
    n: 'count',
    size: 'size',
    quality: 'quality',
    style: 'style',
    background: 'background',
    output_format: 'outputFormat',
    output_compression: 'outputCompression',
    moderation: 'moderation',
    seed: 'seed',
  },
};

/** Parts of a conversation that are not parameters but may be ignored as well. */
const OF_A_CONVERSATION = ['system', 'history', 'name'];

export const isOpenAiParameter = (kind: OpenAiSurface, name: string): boolean =>
  Object.hasOwn(OPENAI_PARAMETERS[kind], name) || (kind === 'chat' && OF_A_CONVERSATION.includes(name));
