import { APIError } from 'openai/core/error';
import { type Completion, complete } from './completion.js';
import type { OpenAiContext } from './kind-handler.js';
import type { ServerSoftware } from './options.js';
import type { ChatWith } from './parameters.js';
import type { Question } from './question.js';

/**
 * What makes a server continue the last message, if that is the assistant's, by the name in its list of models. vLLM
 * takes two parameters (OpenAI-compatible server, extra parameters of the chat API); llama.cpp does it without
 * (`llama-server`, assistant prefill), but not with reasoning. Other servers would answer the message.
 */
const WAYS: Readonly<Partial<Record<ServerSoftware, object>>> = {
  vllm: { continue_final_message: true, add_generation_prompt: false },
  'llama.cpp': {},
};

type Context = Pick<OpenAiContext, 'client' | 'software' | 'signal' | 'emit' | 'think' | 'continued' | 'refused'>;

/**
 * The rest of an answer that has been begun; its text is only what follows. Undefined if nothing is begun, or the server
 * does not continue its own text: the answer must then be asked for as a whole. Plain text only: the beginning of a call
 * or of JSON is not passed on before it is whole, and the probabilities of its tokens are lost.
 */
export async function continued(
  question: Question,
  wanted: Pick<ChatWith, 'tools' | 'schema' | 'output' | 'constrain' | 'logprobs'>,
  { client, software, signal, emit, think, refused, continued: begun }: Context,
): Promise<Completion | undefined> {
  const { tools, schema, output, constrain, logprobs } = wanted;
  if (!begun || [tools, schema, output, constrain, logprobs].some((each) => each !== undefined)) return undefined;
  const way = WAYS[software];
  if (!way) return undefined;
  const last = { role: 'assistant' as const, content: begun.text.trimEnd() };
  let told = false;
  const tell = () => {
    if (!told) begun.continues();
    told = true;
  };
  const own = {
    signal,
    refused,
    ...(think && { think }),
    emit(chunk: string | number) {
      tell();
      emit(chunk);
    },
  };
  try {
    const completion = await complete(client, { ...question, ...way, messages: [...question.messages, last] }, own);
    tell();
    return completion;
  } catch (error) {
    // A server that refuses the parameters, or a prefill with reasoning, has computed nothing.
    if (!told && error instanceof APIError && error.status === 400) return undefined;
    throw error;
  }
}
