import type { OpenAI } from 'openai';
import { APIError } from 'openai/core/error';
import { MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json } from '../../../pipelines/json.js';
import type { TokenLogprob } from '../../../pipelines/stages/index.js';
import type { CallContext, Usage } from '../connector.js';
import { bodyOf, chunksOf } from '../exchange.js';
import { CUT, containsOneOf, FILTERED } from '../finish-reasons.js';
import { eventsOf } from '../http/events.js';
import { parseJson } from '../json-values.js';
import { isOpenAi } from './hosts.js';
import type { Question } from './question.js';
import type { RefusedParameters } from './refused-parameters.js';
import { type ToolCall, ToolCalls, type ToolDelta } from './tool-calls.js';

/** A reply as the server sent it. */
export interface Completion {
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly refusal: string;
  /** `finish_reason`, `length` for any limit; undefined if a non-streaming server omits it. */
  readonly finish: string | undefined;
  /** The end of the reasoning before the reply (`reasoning`, `reasoning_content`); empty without any. */
  readonly reasoning: string;
  /** Of the reply's tokens, where they were requested. */
  readonly logprobs: readonly TokenLogprob[];
  readonly usage: Usage;
}

/** Who waits for a completion, and what is known of the server's models. */
interface Watched extends Pick<CallContext, 'signal' | 'emit' | 'think'> {
  readonly refused?: RefusedParameters;
}

/**
 * `POST /v1/chat/completions`, always streamed: a server detects a closed connection when it sends the next token, so a
 * cancelled call frees its slot at once. A server that answers with one JSON body is also supported.
 */
export async function complete(
  client: OpenAI,
  question: Question,
  { signal, emit, think, refused }: Watched,
): Promise<Completion> {
  const response = await answerTo(question, refused, (asked) =>
    client.chat.completions
      .create({ ...asked, stream: true, stream_options: { include_usage: true } }, { signal, headers: ONE_CALL })
      .asResponse(),
  );
  const collected = new Collected(emit, think);
  const type = response.headers.get('content-type') ?? '';
  if (type.includes('json')) {
    collected.addWhole(parseJson(await bodyOf(response, signal), unreadable), response.headers);
    return collected.reply();
  }
  for await (const chunk of chunksIn(response, signal)) collected.add(chunk as Chunk);
  // An abort ends the loop without an error; the partial text is not an answer.
  signal.throwIfAborted();
  return collected.streamed(type);
}

/**
 * Sends a question as its model is known to take it. One that is refused for a parameter alone, or for the tools that it lacks, is sent again
 * as the model takes it: nothing has been computed. Each repeat is for another of these few reasons.
 */
async function answerTo(
  question: Question,
  refused: RefusedParameters | undefined,
  send: (question: Question) => Promise<Response>,
): Promise<Response> {
  let asked = refused?.accepted(question) ?? question;
  for (;;) {
    try {
      return await send(asked);
    } catch (error) {
      if (!refused?.learn(asked, error)) throw error;
      asked = refused.accepted(asked);
    }
  }
}

/** Longest event of a stream, in characters: some servers send images, which are not read, beside the text. */
const LONGEST_EVENT = 16 * 1_024 * 1_024;
/** How long the end of a stream is awaited, unused, in milliseconds. */
const TAIL_MS = 1_000;

/**
 * The chunks of a stream. Not by the client's own reader: it searches all that has arrived of an event again with each piece, so an
 * event without end, in small pieces, would occupy the process. Throws the error that an event is.
 * @param done called where the server says that it has sent all (`[DONE]`)
 */
export async function* chunksIn(
  response: Response,
  signal: AbortSignal,
  done?: () => void,
): AsyncGenerator<Json, void> {
  for await (const { data, cut } of eventsOf(chunksOf(response, signal, TAIL_MS), LONGEST_EVENT)) {
    if (data.startsWith('[DONE]')) return done?.();
    // What broke off is told by what is missing.
    if (cut && !isJson(data)) return;
    const chunk = parseJson(data, unreadable);
    if (isJsonObject(chunk) && chunk.error)
      throw new APIError(undefined, Object(chunk.error), undefined, response.headers);
    yield chunk;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

export const unreadable = (problem: string): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `the answer’s ${problem}`);

/**
 * llama.cpp announces keep-alive for a stream but closes the connection after the last event: one in twenty following
 * calls, sent into the closing connection, failed. A stream's connection is therefore not reused.
 */
export const ONE_CALL = { connection: 'close' };

/** Chunk fields; servers omit some, send null or use other names. */
interface Chunk {
  readonly choices?: readonly Choice[] | null;
  readonly usage?: Counts | null;
}
interface Choice {
  readonly index?: number;
  readonly delta?: Delta | null;
  readonly message?: Delta | null;
  readonly finish_reason?: string | null;
  readonly logprobs?: { readonly content?: readonly Logprob[] | null } | null;
}
interface Logprob {
  readonly token: string;
  readonly logprob: number;
  readonly top_logprobs?: readonly { readonly token: string; readonly logprob: number }[] | null;
}
interface Delta {
  readonly content?: string | null;
  readonly refusal?: string | null;
  /** vLLM and OpenRouter. */
  readonly reasoning?: string | null;
  /** llama.cpp, older vLLM, and DeepSeek. */
  readonly reasoning_content?: string | null;
  readonly tool_calls?: readonly ToolDelta[] | null;
}
interface Counts {
  readonly prompt_tokens?: number | null;
  readonly completion_tokens?: number | null;
}

/** Characters of reasoning that are kept: a history would not hold the hundred thousand that some models think. */
const MOST_REASONING = 65_536;

/** Assembles a reply from its chunks. */
class Collected {
  readonly #emit: CallContext['emit'];
  readonly #think: CallContext['think'];
  readonly #toolCalls = new ToolCalls();
  #text = '';
  #refusal = '';
  #finish: string | undefined;
  #reasoning = '';
  readonly #logprobs: TokenLogprob[] = [];
  #usage: Usage = {};
  #chunks = 0;

  constructor(emit: CallContext['emit'], think: CallContext['think']) {
    this.#emit = emit;
    this.#think = think;
  }

  /** The last chunk has the usage and no choice; some servers send usage with every chunk, of which the last counts. */
  add(chunk: Chunk): void {
    this.#chunks += 1;
    const { choices, usage } = requireObject(chunk, 'chunk');
    if (usage) this.#usage = usageOf(usage);
    const choice = Array.isArray(choices)
      ? choices.map((each: Choice) => requireObject(each, 'choice')).find(({ index = 0 }) => index === 0)
      : undefined;
    if (choice) this.#addChoice(choice);
  }

  addWhole(body: unknown, headers: Headers): void {
    const { error, ...chunk } = (isJsonObject(body) ? body : {}) as Chunk & { readonly error?: unknown };
    if (error) throw new APIError(undefined, Object(error), undefined, headers);
    const [choice] = Array.isArray(chunk.choices) ? (chunk.choices as (Choice | null)[]) : [];
    // A filter may leave no message.
    if (typeof (choice?.message ?? undefined) !== 'object' && !containsOneOf(choice?.finish_reason, FILTERED)) {
      throw new MillraceError('INVALID_OUTPUT', `the completion has no ${choice ? 'message' : 'choice'}`);
    }
    this.add(chunk);
  }

  streamed(type: string): Completion {
    if (this.#finish !== undefined) return this.reply();
    if (this.#chunks === 0 && !type.includes('event-stream')) {
      throw new MillraceError('INVALID_OUTPUT', `the answer is ${type || 'of no type'}, neither events nor JSON`);
    }
    throw new MillraceError('BACKEND_UNAVAILABLE', `the stream broke off after ${this.#text.length} characters`);
  }

  reply(): Completion {
    return {
      text: this.#text,
      toolCalls: this.#toolCalls.all,
      refusal: this.#refusal,
      finish: this.#finish,
      reasoning: this.#reasoning.slice(-MOST_REASONING),
      logprobs: this.#logprobs,
      usage: this.#usage,
    };
  }

  #addChoice({ delta, message, finish_reason, logprobs }: Choice): void {
    const { content, refusal, reasoning, reasoning_content, tool_calls } = delta ?? message ?? {};
    if (finish_reason) this.#finish = CUT.includes(finish_reason) ? 'length' : finish_reason;
    if (refusal) this.#refusal += refusal;
    const thought = reasoning || reasoning_content;
    if (typeof thought === 'string' && thought !== '') {
      this.#reasoning += thought;
      if (this.#reasoning.length > 2 * MOST_REASONING) this.#reasoning = this.#reasoning.slice(-MOST_REASONING);
      this.#think?.(thought);
      this.#emit('');
    }
    if (Array.isArray(logprobs?.content)) {
      for (const each of logprobs.content) this.#logprobs.push(logprobOf(requireObject(each, 'logprob')));
    }
    if (Array.isArray(tool_calls) && tool_calls.length > 0) {
      for (const each of tool_calls) this.#toolCalls.add(requireObject(each, 'tool call'));
      this.#emit('');
    }
    if (typeof content === 'string' && content !== '') {
      this.#text += content;
      this.#emit(content);
    }
  }
}

const logprobOf = ({ token, logprob, top_logprobs }: Logprob): TokenLogprob => ({
  token,
  logprob,
  top: (Array.isArray(top_logprobs) ? (top_logprobs as Logprob[]) : []).map((each) => {
    const { token: other, logprob: its } = requireObject(each, 'logprob');
    return { token: other, logprob: its };
  }),
});

/** Checks a member of the answer: a list may hold null. Throws `INVALID_OUTPUT`. */
function requireObject<T extends object>(value: T, what: string): T {
  if (isJsonObject(value)) return value;
  const kind = value === null ? 'null' : Array.isArray(value) ? 'a list' : `a ${typeof value}`;
  throw new MillraceError('INVALID_OUTPUT', `a ${what} of the answer is ${kind}, not an object`);
}

const usageOf = ({ prompt_tokens, completion_tokens }: Counts): Usage => ({
  ...(typeof prompt_tokens === 'number' && { inputTokens: prompt_tokens }),
  ...(typeof completion_tokens === 'number' && { outputTokens: completion_tokens }),
});

/**
 * The reply's token limit under the name that the server accepts. OpenAI's own reasoning models accept only the newer
 * name; all other servers accept the older one, many of them only that. A model elsewhere that refuses the older one gets the
 * newer one after that.
 */
export function tokenLimit(client: OpenAI, tokens: number): { max_completion_tokens: number } | { max_tokens: number } {
  return isOpenAi(client) ? { max_completion_tokens: tokens } : { max_tokens: tokens };
}
