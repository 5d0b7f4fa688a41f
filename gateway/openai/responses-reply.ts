import type { Answer, Completion, ExecutedCall } from './chat-reply.js';
import type { ErrorBody } from './error-body.js';
import type { ResponsesRequest } from './responses-request.js';

export type ResponsesEvent = {
  readonly type: string;
  readonly sequence_number: number;
  readonly [key: string]: unknown;
};

/** Identity of a response, and the parameters of its request that it repeats. */
export interface ResponseOf extends Completion {
  readonly echo: ResponsesRequest['echo'];
}

type Status = 'queued' | 'in_progress' | 'completed' | 'incomplete' | 'failed' | 'cancelled';
type Item = Readonly<Record<string, unknown>>;

export const responseId = (run: string): string => `resp_${run}`;

function base({ run, createdAt, model: { pipeline }, echo }: ResponseOf, status: Status, output: readonly Item[]) {
  return {
    id: responseId(run),
    object: 'response' as const,
    created_at: Math.floor(Date.parse(createdAt) / 1_000),
    status,
    model: pipeline.name,
    output,
    error: null as object | null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: echo.instructions ?? null,
    max_output_tokens: echo.max_output_tokens ?? null,
    temperature: echo.temperature ?? null,
    top_p: echo.top_p ?? null,
    tools: echo.tools ?? [],
    tool_choice: echo.tool_choice ?? 'auto',
    text: { format: echo.text?.format ?? { type: 'text' } },
    parallel_tool_calls: echo.parallel_tool_calls ?? true,
    store: echo.store ?? true,
    background: echo.background ?? false,
    previous_response_id: echo.previous_response_id ?? null,
    conversation: echo.conversation ?? null,
    reasoning: { effort: echo.reasoning?.effort ?? null, summary: echo.reasoning?.summary ?? null },
    truncation: echo.truncation ?? 'disabled',
    metadata: echo.metadata ?? {},
  };
}

const messageItem = (run: string, status: Status, text?: string): Item => ({
  id: `msg_${run}`,
  type: 'message',
  role: 'assistant',
  status,
  content: text === undefined ? [] : [part(text)],
});
const part = (text: string) => ({ type: 'output_text', text, annotations: [] });

const callItem = (run: string, { id, name, arguments: given }: Answer['toolCalls'][number], i: number): Item => ({
  id: `fc_${run}_${i}`,
  type: 'function_call',
  status: 'completed',
  call_id: id,
  name,
  arguments: JSON.stringify(given),
});

/**
 * An executed call with its output, as the protocol's item of a call that a server has executed. Clients execute only
 * `function_call` items.
 */
const executedItem = (pipeline: string, { id, ...call }: ExecutedCall): Item => ({
  id: `mcp_${id}`,
  type: 'mcp_call',
  server_label: pipeline,
  ...call,
  approval_request_id: null,
});

/**
 * Executed calls, then a message if there is text or nothing else, then function calls. With streaming, the message
 * comes before any calls are known.
 */
export function itemsOf({ run, model }: ResponseOf, { text, toolCalls, executed, finish }: Answer): readonly Item[] {
  const hasMessage = text !== '' || toolCalls.length === 0;
  const status = finish === 'length' ? 'incomplete' : 'completed';
  const done = executed.map((call) => executedItem(model.pipeline.name, call));
  const message = hasMessage ? [messageItem(run, status, text)] : [];
  const both = model.textStages.size > 0 ? [...message, ...done] : [...done, ...message];
  return [...both, ...toolCalls.map((call, i) => callItem(run, call, i))];
}

/** The response of a run that is not streamed. */
export function responseOf(of: ResponseOf, answer: Answer) {
  const { finish, usage } = answer;
  return {
    ...base(of, finish === 'length' ? 'incomplete' : 'completed', itemsOf(of, answer)),
    ...(usage && {
      usage: {
        input_tokens: usage.input,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: usage.output,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: usage.input + usage.output,
      },
    }),
  };
}

/** The response of a run that has no answer, or not yet. */
export const unansweredOf = (of: ResponseOf, status: Status, error: object | null = null) => ({
  ...base(of, status, []),
  error,
});

/** Writes the events of a streamed response. */
export class ResponseWriter {
  readonly #of: ResponseOf;
  #number = 0;
  #text = '';
  #inMessage = false;

  constructor(of: ResponseOf) {
    this.#of = of;
  }

  *begin(): Generator<ResponsesEvent> {
    const response = base(this.#of, 'in_progress', []);
    yield this.#event('response.created', { response });
    yield this.#event('response.in_progress', { response });
  }

  *text(delta: string): Generator<ResponsesEvent> {
    if (!this.#of.model.textStages.size) {
      // The text is sent as a whole, after the executed calls.
      this.#text += delta;
      return;
    }
    if (!this.#inMessage) yield* this.#openMessage(0);
    this.#text += delta;
    yield this.#event('response.output_text.delta', { ...this.#place(0), delta, logprobs: [] });
  }

  *end(answer: Answer): Generator<ResponsesEvent> {
    const items = itemsOf(this.#of, answer);
    for (const [output_index, item] of items.entries()) {
      if (item.type === 'message') yield* this.#closeMessage(item, output_index);
      else if (item.type === 'mcp_call') yield* this.#executed(item, output_index);
      else {
        const { id: item_id, name } = item;
        yield this.#event('response.output_item.added', {
          output_index,
          item: { ...item, arguments: '', status: 'in_progress' },
        });
        const at = { item_id, output_index };
        yield this.#event('response.function_call_arguments.delta', { ...at, delta: item.arguments });
        yield this.#event('response.function_call_arguments.done', { ...at, name, arguments: item.arguments });
        yield this.#event('response.output_item.done', { output_index, item });
      }
    }
    const response = responseOf(this.#of, answer);
    yield this.#event(`response.${response.status}`, { response });
  }

  failed({ error: { code, message } }: ErrorBody): ResponsesEvent {
    return this.#event('response.failed', { response: unansweredOf(this.#of, 'failed', { code, message }) });
  }

  *#openMessage(output_index: number): Generator<ResponsesEvent> {
    this.#inMessage = true;
    yield this.#event('response.output_item.added', {
      output_index,
      item: messageItem(this.#of.run, 'in_progress'),
    });
    yield this.#event('response.content_part.added', { ...this.#place(output_index), part: part('') });
  }

  *#closeMessage(item: Item, output_index: number): Generator<ResponsesEvent> {
    const place = this.#place(output_index);
    if (!this.#inMessage) {
      yield* this.#openMessage(output_index);
      if (this.#text !== '')
        yield this.#event('response.output_text.delta', { ...place, delta: this.#text, logprobs: [] });
    }
    yield this.#event('response.output_text.done', { ...place, text: this.#text, logprobs: [] });
    yield this.#event('response.content_part.done', { ...place, part: part(this.#text) });
    yield this.#event('response.output_item.done', { output_index, item });
  }

  *#executed(item: Item, output_index: number): Generator<ResponsesEvent> {
    const at = { item_id: item.id, output_index };
    const begun = { ...item, arguments: '', output: null, error: null, status: 'in_progress' };
    yield this.#event('response.output_item.added', { output_index, item: begun });
    yield this.#event('response.mcp_call.in_progress', at);
    yield this.#event('response.mcp_call_arguments.delta', { ...at, delta: item.arguments });
    yield this.#event('response.mcp_call_arguments.done', { ...at, arguments: item.arguments });
    yield this.#event(`response.mcp_call.${item.status}`, at);
    yield this.#event('response.output_item.done', { output_index, item });
  }

  #place(output_index: number) {
    return { item_id: `msg_${this.#of.run}`, output_index, content_index: 0 };
  }

  #event(type: string, body: object): ResponsesEvent {
    return { type, sequence_number: this.#number++, ...body };
  }
}
