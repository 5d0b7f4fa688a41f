import type { OpenAI } from 'openai';
import type { JsonObject } from '../../pipelines/json.js';
import type { TokenLogprob } from '../../pipelines/stages/index.js';
import type { RunDocument } from '../../runs/document.js';
import { inputOfArguments } from './custom-tools.js';
import { type ExecutedCall, executedCallOf, executedId } from './executed-calls.js';
import { LOGPROBS, logprobsBody } from './logprobs-body.js';
import { usageOf } from './model-run.js';
import type { Model } from './models.js';
import type { Told } from './told.js';

/** The answer of a run. */
export interface Answer {
  readonly text: string;
  /** What the model thought before it. */
  readonly reasoning?: string;
  readonly finish: 'stop' | 'length' | 'tools';
  /** Calls for the client to execute. */
  readonly toolCalls: readonly { readonly id: string; readonly name: string; readonly arguments: JsonObject }[];
  /** Calls that the run has executed. */
  readonly executed: readonly ExecutedCall[];
  /** What an agent's model wrote before calls of a turn, by the id of their first. */
  readonly said: ReadonlyMap<string, string>;
  readonly usage: { readonly input: number; readonly output: number } | undefined;
  /** Probabilities of the text's tokens, where they are wanted. */
  readonly logprobs?: readonly TokenLogprob[];
}

/** The field of a pipeline's output with what its model thought. */
const REASONING = 'reasoning';

/** The fields of a pipeline's output that are used. */
export const answerFields = ({ face }: Model): readonly string[] => [
  face.output,
  'finish',
  REASONING,
  LOGPROBS,
  ...face.calls,
  ...face.executed,
];

export function answerOf(document: RunDocument, { face, agents, callers }: Model): Answer {
  const output = (document.output ?? {}) as JsonObject;
  const { [face.output]: text, finish } = output;
  const reasoning = face.output === REASONING ? undefined : output[REASONING];
  const listed = (field: string) => (Array.isArray(output[field]) ? (output[field] as readonly JsonObject[]) : []);
  const calls = withIds(face.calls.flatMap(listed), document.id);
  const lists = face.executed.map((field, at) =>
    listed(field).map((call, i) => [executedId(document.id, at, i), call] as const),
  );
  const executed = lists.flat();
  // Of agents whose text is the answer.
  const speakers = new Set([...agents].map((stage) => callers.get(stage)));
  const spoken = lists.filter((_, at) => speakers.has(at)).flat();
  return {
    text: typeof text === 'string' ? text : '',
    ...(typeof reasoning === 'string' && reasoning !== '' && { reasoning }),
    finish: calls.length > 0 ? 'tools' : finish === 'length' ? 'length' : 'stop',
    toolCalls: calls,
    executed: executed.map(([id, call]) => executedCallOf(id, call)),
    said: new Map(spoken.flatMap(([id, { said }]) => (typeof said === 'string' ? [[id, said] as const] : []))),
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

/** Identity of the completion of a run. */
export interface Completion {
  /** The run's id. */
  readonly run: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly model: Model;
  /** Names of the tools that are called with a text. Absent: none. */
  readonly customTools?: ReadonlySet<string>;
}

/** One of several answers to choose from, with the id of its run. */
export interface Choice {
  readonly run: string;
  readonly answer: Answer;
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

/** The tokens of all answers; undefined if none has any. */
function usageOfAll(answers: readonly Answer[]): Answer['usage'] {
  const known = answers.flatMap(({ usage }) => (usage ? [usage] : []));
  if (known.length === 0) return undefined;
  const sum = (key: 'input' | 'output') => known.reduce((total, usage) => total + usage[key], 0);
  return { input: sum('input'), output: sum('output') };
}

const callOf = (
  { id, name, arguments: given }: Answer['toolCalls'][number],
  { customTools }: Completion,
): OpenAI.ChatCompletionMessageToolCall =>
  customTools?.has(name)
    ? { id, type: 'custom', custom: { name, input: inputOfArguments(given) } }
    : { id, type: 'function', function: { name, arguments: JSON.stringify(given) } };

/**
 * Millrace's extension of the protocol: `tool_calls` are calls for the client to execute; those that the run executes
 * are told here.
 */
interface Extension {
  readonly millrace?: {
    /** All of them, with the end of the completion. */
    readonly executed_tool_calls?: readonly ExecutedCall[];
    /** One that has begun, or ended, while the completion is streamed. */
    readonly tool_call?: Omit<ExecutedCall, 'status'> & { readonly status: ExecutedCall['status'] | 'in_progress' };
    /** Where the answer begins in the streamed content or transcript, in UTF-16 units: what is before it was written before calls of tools. */
    readonly answer_from?: number;
    /** The streamed content or transcript is void from here on: a model call was repeated, and another text follows. */
    readonly void_from?: number;
    /** Ids of the choices’ runs in their order, where there are several; in a stream that of the choice, at its end. */
    readonly runs?: readonly string[];
    readonly run?: string;
  };
}

function extensionOf(choices: readonly Choice[]): Extension {
  const executed = choices.flatMap(({ answer }) => answer.executed);
  const millrace = {
    ...(executed.length > 0 && { executed_tool_calls: executed }),
    ...(choices.length > 1 && { runs: choices.map(({ run }) => run) }),
  };
  return Object.keys(millrace).length > 0 ? { millrace } : {};
}

/** The completion of runs that are not streamed. */
export const completionOf = (
  of: Completion,
  choices: readonly Choice[],
  audio?: OpenAI.ChatCompletionAudio,
): OpenAI.ChatCompletion & Extension => {
  const usage = usageOfAll(choices.map(({ answer }) => answer));
  return {
    ...identity(of),
    object: 'chat.completion',
    choices: choices.map(({ answer: { text, reasoning, finish, toolCalls, logprobs } }, index) => ({
      index,
      message: {
        role: 'assistant',
        content: audio || (text === '' && toolCalls.length > 0) ? null : text,
        // Under the name that the servers of such models use.
        ...(reasoning !== undefined && { reasoning_content: reasoning }),
        ...(audio && { audio }),
        refusal: null,
        ...(toolCalls.length > 0 && { tool_calls: toolCalls.map((call) => callOf(call, of)) }),
      },
      finish_reason: REASONS[finish],
      logprobs: logprobs ? logprobsBody(logprobs) : null,
    })),
    ...(usage && { usage: usageBody(usage) }),
    ...extensionOf(choices),
  };
};

type ChunkChoice = Omit<OpenAI.ChatCompletionChunk.Choice, 'delta'> & { readonly delta: Delta };
export type Chunk = Omit<OpenAI.ChatCompletionChunk, 'usage' | 'choices'> &
  Extension & { readonly choices: readonly ChunkChoice[]; readonly usage?: OpenAI.CompletionUsage | null };
/** OpenAI's specification leaves out the audio that its clients read, and custom tools. */
export type Delta = Omit<OpenAI.ChatCompletionChunk.Choice.Delta, 'tool_calls'> & {
  readonly tool_calls?: (OpenAI.ChatCompletionMessageToolCall & { readonly index: number })[];
  readonly audio?: AudioDelta;
  /** What a reasoning model thinks, under the name that the servers of such models use. */
  readonly reasoning_content?: string;
};

/** Part of an audio answer. Clients join the parts of `data` and `transcript`; `id` comes once. */
export interface AudioDelta {
  readonly id?: string;
  /** Base64 of a multiple of three bytes, except for the last part. */
  readonly data?: string;
  readonly transcript?: string;
  /** Seconds since 1970. */
  readonly expires_at?: number;
}

/**
 * Separates two messages of an agent in one completion (what it wrote before it called tools, and its answer), and void reasoning from
 * what replaces it.
 */
const BREAK = '\n\n';

export interface WriterOptions {
  readonly includeUsage: boolean;
  /** The text is the transcript of an audio answer instead of content. */
  readonly spoken?: boolean;
  /** Which of several choices it is, and the id of its run. */
  readonly choice?: { readonly index: number; readonly run: string };
}

/** Writes the chunks of a choice of a streamed completion. */
export class ChunkWriter {
  readonly #of: Completion;
  readonly #options: WriterOptions;
  #begun = false;
  /** Length of the content or transcript so far, of its last message, and whether the next text is another message. */
  #length = 0;
  #from = 0;
  #ended = false;

  constructor(of: Completion, options: WriterOptions) {
    this.#of = of;
    this.#options = options;
  }

  *told(piece: Told): Generator<Chunk> {
    if ('text' in piece) yield this.#text(piece.text);
    else if ('reasoning' in piece)
      yield this.#chunk({ reasoning_content: `${piece.instead ? BREAK : ''}${piece.reasoning}` });
    else if ('called' in piece)
      yield this.#extended({ tool_call: { ...piece.called, status: 'in_progress', output: null, error: null } });
    else if ('executed' in piece) yield this.#extended({ tool_call: piece.executed });
    else {
      this.#ended = true;
      if (piece.ended === 'void') yield this.#extended({ void_from: this.#from });
    }
  }

  #text(text: string): Chunk {
    const between = this.#ended ? BREAK : '';
    if (this.#ended) this.#from = this.#length + between.length;
    this.#ended = false;
    this.#length += between.length + text.length;
    const all = `${between}${text}`;
    return this.#options.spoken ? this.audio({ transcript: all }) : this.#chunk({ content: all });
  }

  #extended(millrace: NonNullable<Extension['millrace']>): Chunk {
    return { ...this.#chunk({}), millrace };
  }

  audio(part: AudioDelta): Chunk {
    return this.#chunk({ audio: part });
  }

  /** The remaining chunks of the choice after the text. */
  *end(answer: Answer): Generator<Chunk> {
    const { finish, toolCalls, executed, logprobs } = answer;
    // As OpenAI sends them: clients exist that read the first call of a chunk only.
    for (const [index, call] of toolCalls.entries())
      yield this.#chunk({ tool_calls: [{ index, ...callOf(call, this.#of) }] });
    if (toolCalls.length === 0 && !this.#begun) yield this.#chunk({ content: '' });
    if (logprobs) yield this.#chunk({}, null, logprobsBody(logprobs));
    const extension = {
      ...(executed.length > 0 && { executed_tool_calls: executed }),
      ...(this.#from > 0 && { answer_from: this.#from }),
      ...(this.#options.choice && { run: this.#options.choice.run }),
    };
    yield {
      ...this.#chunk({}, REASONS[finish]),
      ...(Object.keys(extension).length > 0 && { millrace: extension }),
    };
  }

  /** The last chunk of the completion, with its usage, if that was requested. */
  *usage(answers: readonly Answer[]): Generator<Chunk> {
    if (!this.#options.includeUsage) return;
    const usage = usageOfAll(answers);
    yield {
      ...identity(this.#of),
      object: 'chat.completion.chunk',
      choices: [],
      usage: usage ? usageBody(usage) : null,
    };
  }

  #chunk(
    delta: Delta,
    finish: OpenAI.ChatCompletionChunk.Choice['finish_reason'] = null,
    logprobs: OpenAI.ChatCompletionChunk.Choice['logprobs'] = null,
  ): Chunk {
    const first = this.#begun ? {} : { role: 'assistant' as const };
    this.#begun = true;
    return {
      ...identity(this.#of),
      object: 'chat.completion.chunk',
      choices: [
        { index: this.#options.choice?.index ?? 0, delta: { ...first, ...delta }, finish_reason: finish, logprobs },
      ],
      ...(this.#options.includeUsage && { usage: null }),
    };
  }
}
