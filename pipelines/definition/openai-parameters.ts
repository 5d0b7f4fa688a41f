/** `chat`: chat completions and responses. The others are the endpoints of these names. */
export const OPENAI_SURFACES = ['chat', 'embeddings', 'transcription', 'speech'] as const;
export type OpenAiSurface = (typeof OPENAI_SURFACES)[number];

/**
 * The parameters of OpenAI's requests that change the answer, and the input field that takes each: a pipeline that has the
 * field is given the parameter, of any other a request with it is refused. The Responses API calls some by other names, as
 * which they are told apart in the gateway.
 */
export const OPENAI_PARAMETERS: Readonly<Record<OpenAiSurface, Readonly<Record<string, string>>>> = {
  chat: {
    temperature: 'temperature',
    top_p: 'topP',
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
  },
  embeddings: { dimensions: 'dimensions' },
  transcription: { language: 'language', prompt: 'prompt', temperature: 'temperature' },
  speech: { voice: 'voice', speed: 'speed', instructions: 'instructions' },
};

/** What of a conversation is no parameter, and may be dropped all the same. */
const OF_A_CONVERSATION = ['system', 'history'];

export const isOpenAiParameter = (kind: OpenAiSurface, name: string): boolean =>
  Object.hasOwn(OPENAI_PARAMETERS[kind], name) || (kind === 'chat' && OF_A_CONVERSATION.includes(name));
