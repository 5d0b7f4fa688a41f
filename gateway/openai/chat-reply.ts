import type { OpenAI } from 'openai';
import type { JsonObject } from '../../pipelines/json.js';
import type { RunDocument } from '../../runs/document.js';
import { usageOf } from './model-run.js';
import type { Model } from './models.js';

/** The answer of a run. */
export interface Answer {
  readonly text: string;
  readonly finish: 'stop' | 'length' | 'tools';
  /** Calls for the client to execute. */
  readonly toolCalls: readonly { readonly id: string; readonly name: string; readonly arguments: JsonObject }[];
  /** Calls that the run has executed. */
  readonly executed: readonly ExecutedCall[];
  readonly usage: { readonly input: number; readonly output: number } | undefined;
}

/** In OpenAI's form: the arguments are JSON, the output is text. */
export interface ExecutedCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
  readonly status: 'completed' | 'failed';
  /** The output as it was returned to the model. */
  readonly output: string | null;
  /** Why the call was not executed, or failed. */
  readonly error: string | null;
}

/** The fields of a pipeline's output that are used. */
export const answerFields = ({ face }: Model): readonly string[] => [
  face.output,
  'finish',
  ...face.calls,
  ...face.executed,
];

export function answerOf(document: RunDocument, { face }: Model): Answer {
  const output = (document.output ?? {}) as JsonObject;
  const { [face.output]: text, finish } = output;
  const listed = (fields: readonly string[]) =>
    fields.flatMap((field) => (Array.isArray(output[field]) ? (output[field] as readonly JsonObject[]) : []));
  const calls = withIds(listed(face.calls), document.id);
  return {
    text: typeof text === 'string' ? text : '',
    finish: calls.length > 0 ? 'tools' : finish === 'length' ? 'length' : 'stop',
    toolCalls: calls,
    executed: listed(face.executed).map((call, i) => executedOf(call, `exec_${document.id}_${i}`)),
    usage: usageOf(document),
  };
}

/** Clients answer a call by its id: missing and duplicate ids are replaced. */
function withIds(calls: readonly JsonObject[], run: string): Answer['toolCalls'] {
  const seen = new Set<string>();
  return calls.map(({ id, name, arguments: given }, i) => {
    const own = typeof id === 'string' && id !== '' && !seen.has(id) ? id : `call_${run}_${i}`;
    seen.add(own);
    return { id: own, name: String(name), arguments: (given ?? {}) as JsonObject };
  });
}

function executedOf({ name, arguments: given, end, result, code, message }: JsonObject, id: string): ExecutedCall {
  const done = end === 'done';
  const text = typeof result === 'string' ? result : JSON.stringify(result ?? null);
  return {
    id,
    name: String(name),
    arguments: JSON.stringify(given ?? {}),
    status: done ? 'completed' : 'failed',
    output: done ? text : null,
    error: done ? null : [code, message].filter((part) => part !== undefined).join(': ') || String(end),
  };
}

/** Identity of the completion of a run. */
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

/**
 * Millrace's extension of the protocol: `tool_calls` are calls for the client to execute; those that the run has
 * executed are listed here.
 */
interface Extension {
  readonly millrace?: { readonly executed_tool_calls: readonly ExecutedCall[] };
}

const extensionOf = ({ executed }: Answer): Extension =>
  executed.length > 0 ? { millrace: { executed_tool_calls: executed } } : {};

/** The completion of a run that is not streamed. */
export const completionOf = (
  of: Completion,
  answer: Answer,
  audio?: OpenAI.ChatCompletionAudio,
): OpenAI.ChatCompletion & Extension => {
  const { text, finish, toolCalls, usage } = answer;
  return {
    ...identity(of),
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: {
          role: 'assistant',
          content: audio || (text === '' && toolCalls.length > 0) ? null : text,
          ...(audio && { audio }),
          refusal: null,
          ...(toolCalls.length > 0 && { tool_calls: toolCalls.map(callOf) }),
        },
        finish_reason: REASONS[finish],
        logprobs: null,
      },
    ],
    ...(usage && { usage: usageBody(usage) }),
    ...extensionOf(answer),
  };
};

type Chunk = Omit<OpenAI.ChatCompletionChunk, 'usage'> & Extension & { readonly usage?: OpenAI.CompletionUsage | null };
/** OpenAI's specification leaves out the audio that its clients read. */
type Delta = OpenAI.ChatCompletionChunk.Choice.Delta & { readonly audio?: AudioDelta };

/** Part of an audio answer. Clients join the parts of `data` and `transcript`; `id` comes once. */
export interface AudioDelta {
  readonly id?: string;
  /** Base64 of a multiple of three bytes, except for the last part. */
  readonly data?: string;
  readonly transcript?: string;
  /** Seconds since 1970. */
  readonly expires_at?: number;
}

/** Writes the chunks of a streamed completion. */
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

  audio(part: AudioDelta): Chunk {
    return this.#chunk({ audio: part });
  }

  /** The remaining chunks after the text. */
  *end(answer: Answer): Generator<Chunk> {
    const { finish, toolCalls, usage } = answer;
    if (toolCalls.length > 0)
      yield this.#chunk({ tool_calls: toolCalls.map((call, index) => ({ index, ...callOf(call) })) });
    else if (!this.#begun) yield this.#chunk({ content: '' });
    yield { ...this.#chunk({}, REASONS[finish]), ...extensionOf(answer) };
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
