import type { OpenAI } from 'openai';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunDocument } from '../runs/run-document.js';
import { usageOf } from './model-run.js';
import type { Model } from './models.js';

/** What a run has answered. */
export interface Answer {
  readonly text: string;
  readonly finish: 'stop' | 'length' | 'tools';
  readonly toolCalls: readonly { readonly id: string; readonly name: string; readonly arguments: JsonObject }[];
  readonly usage: { readonly input: number; readonly output: number } | undefined;
}

/** Fields of a pipeline's output beside the text that count, where there are such. */
export const ANSWER_FIELDS: readonly string[] = ['finish', 'toolCalls'];

export function answerOf(document: RunDocument, { face }: Model): Answer {
  const { [face.output]: text, finish, toolCalls } = (document.output ?? {}) as JsonObject;
  const calls = Array.isArray(toolCalls) ? (toolCalls as unknown as Answer['toolCalls']) : [];
  return {
    text: typeof text === 'string' ? text : '',
    finish: calls.length > 0 ? 'tools' : finish === 'length' ? 'length' : 'stop',
    toolCalls: calls,
    usage: usageOf(document),
  };
}

/** What the completion of a run is known by. */
export interface Completion {
  /** The run's id. */
  readonly run: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly model: Model;
}

const REASONS = { stop: 'stop', length: 'length', tools: 'tool_calls' } as const;

const identity = ({ run, createdAt, model: { pipeline } }: Completion) => ({
  id: `chatcmpl-${run}`,
  created: Math.floor(Date.parse(createdAt) / 1_000),
  model: pipeline.name,
  // "The backend configuration that the model runs with": the plan.
  system_fingerprint: pipeline.plan.version,
});

const usageBody = ({ input, output }: NonNullable<Answer['usage']>): OpenAI.CompletionUsage => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
});

const callOf = ({ id, name, arguments: given }: Answer['toolCalls'][number]) => ({
  id,
  type: 'function' as const,
  function: { name, arguments: JSON.stringify(given) },
});

/** A completion as a whole. */
export const completionOf = (of: Completion, { text, finish, toolCalls, usage }: Answer): OpenAI.ChatCompletion => ({
  ...identity(of),
  object: 'chat.completion',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: text === '' && toolCalls.length > 0 ? null : text,
        refusal: null,
        ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(callOf) }),
      },
      finish_reason: REASONS[finish],
      logprobs: null,
    },
  ],
  ...(usage && { usage: usageBody(usage) }),
});

type Chunk = Omit<OpenAI.ChatCompletionChunk, 'usage'> & { readonly usage?: OpenAI.CompletionUsage | null };
type Delta = OpenAI.ChatCompletionChunk.Choice.Delta;

/** The chunks of a completion that is streamed. */
export class ChunkWriter {
  readonly #of: Completion;
  readonly #includeUsage: boolean;
  #begun = false;

  constructor(of: Completion, includeUsage: boolean) {
    this.#of = of;
    this.#includeUsage = includeUsage;
  }

  text(text: string): Chunk {
    return this.#chunk({ content: text });
  }

  /** What is left when all of the text is told. */
  *end({ finish, toolCalls, usage }: Answer): Generator<Chunk> {
    if (toolCalls.length > 0)
      yield this.#chunk({ tool_calls: toolCalls.map((call, index) => ({ index, ...callOf(call) })) });
    else if (!this.#begun) yield this.#chunk({ content: '' });
    yield this.#chunk({}, REASONS[finish]);
    if (!this.#includeUsage) return;
    yield {
      ...identity(this.#of),
      object: 'chat.completion.chunk',
      choices: [],
      usage: usage ? usageBody(usage) : null,
    };
  }

  #chunk(delta: Delta, finish: OpenAI.ChatCompletionChunk.Choice['finish_reason'] = null): Chunk {
    const first = this.#begun ? {} : { role: 'assistant' as const };
    this.#begun = true;
    return {
      ...identity(this.#of),
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { ...first, ...delta }, finish_reason: finish, logprobs: null }],
      ...(this.#includeUsage && { usage: null }),
    };
  }
}
