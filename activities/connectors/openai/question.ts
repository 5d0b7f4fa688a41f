import type { OpenAI } from 'openai';

/** A request for a completion without its transport options. */
export type Question = Omit<OpenAI.ChatCompletionCreateParamsStreaming, 'stream' | 'stream_options'>;
