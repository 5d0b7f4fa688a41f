import type { ServerEvent } from '../http/event-stream.js';
import type { Answer } from '../openai/chat-reply.js';
import type { ExecutedCall } from '../openai/executed-calls.js';
import type { CallBegun, Told } from '../openai/told.js';

/** Identity of the message of a run. */
export interface Identity {
  readonly run: string;
  /** The pipeline's name. */
  readonly model: string;
}

const REASONS = { stop: 'end_turn', length: 'max_tokens', tools: 'tool_use' } as const;

type Block =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'tool_use'; readonly id: string; readonly name: string; readonly input: object };

const envelope = ({ run, model }: Identity) => ({
  id: `msg_${run}`,
  type: 'message' as const,
  role: 'assistant' as const,
  model,
});

const usageBody = (usage: Answer['usage']) => ({
  input_tokens: usage?.input ?? 0,
  output_tokens: usage?.output ?? 0,
  cache_creation_input_tokens: null,
  cache_read_input_tokens: null,
});

const toolBlocks = ({ toolCalls }: Answer) =>
  toolCalls.map(({ id, name, arguments: input }) => ({ type: 'tool_use' as const, id, name, input }));

const textBlock = (text: string): Block => ({ type: 'text', text });

/** Millrace's extension: the calls that the run has executed; `tool_use` blocks are for the client to execute. */
const extensionOf = (executed: readonly ExecutedCall[]) =>
  executed.length > 0 ? { millrace: { executed_tool_calls: executed } } : {};

/** The message of a run that is not streamed. */
export function messageOf(of: Identity, answer: Answer) {
  const { text, finish, usage, executed } = answer;
  const content: Block[] = [...(text === '' ? [] : [textBlock(text)]), ...toolBlocks(answer)];
  return {
    ...envelope(of),
    content,
    stop_reason: REASONS[finish],
    stop_sequence: null,
    usage: usageBody(usage),
    ...extensionOf(executed),
  };
}

const event = (data: { readonly type: string }): ServerEvent => ({ event: data.type, data: JSON.stringify(data) });

/**
 * What the protocol has no event for: a call that the run executes has begun or ended, or the text of a block is void, because its
 * model call was repeated with another text, which follows as the next block. It is a field of a `ping`, which all clients skip; some
 * fail at an event of a type that they do not know.
 */
const extension = (millrace: { readonly void_block: number } | { readonly tool_call: CallBegun }): ServerEvent =>
  event({ type: 'ping', millrace } as { type: string });

/** Writes the events of a streamed message. Each message of an agent is a block. */
export class EventWriter {
  readonly #of: Identity;
  #blocks = 0;
  #inText = false;

  constructor(of: Identity) {
    this.#of = of;
  }

  *start(): Generator<ServerEvent> {
    const message = {
      ...envelope(this.#of),
      content: [],
      stop_reason: null,
      stop_sequence: null,
      usage: usageBody(undefined),
    };
    yield event({ type: 'message_start', message } as { type: string });
  }

  *told(piece: Told): Generator<ServerEvent> {
    if ('text' in piece) {
      if (!this.#inText) yield this.#open(textBlock(''));
      this.#inText = true;
      yield this.#delta({ type: 'text_delta', text: piece.text });
    } else if ('ended' in piece) {
      if (piece.ended === 'void') yield extension({ void_block: this.#blocks });
      if (this.#inText) yield this.#close();
      this.#inText = false;
    } else if ('called' in piece) {
      const begun = { ...piece.called, status: 'in_progress' };
      yield extension({ tool_call: begun });
    } else if ('executed' in piece) yield extension({ tool_call: piece.executed });
  }

  /** The remaining events after the text. */
  *end(answer: Answer): Generator<ServerEvent> {
    const { finish, usage, executed } = answer;
    if (this.#inText) yield this.#close();
    for (const block of toolBlocks(answer)) {
      yield this.#open({ ...block, input: {} });
      yield this.#delta({ type: 'input_json_delta', partial_json: JSON.stringify(block.input) });
      yield this.#close();
    }
    const delta = { stop_reason: REASONS[finish], stop_sequence: null };
    const last = { type: 'message_delta', delta, usage: usageBody(usage), ...extensionOf(executed) };
    yield event(last);
    yield event({ type: 'message_stop' });
  }

  #open(block: Block): ServerEvent {
    const index = this.#blocks;
    return event({ type: 'content_block_start', index, content_block: block } as { type: string });
  }

  #delta(delta: object): ServerEvent {
    return event({ type: 'content_block_delta', index: this.#blocks, delta } as { type: string });
  }

  #close(): ServerEvent {
    const index = this.#blocks;
    this.#blocks += 1;
    return event({ type: 'content_block_stop', index } as { type: string });
  }
}
