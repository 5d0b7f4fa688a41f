import type { Answer } from './chat-reply.js';
import type { ErrorBody } from './error-body.js';
import type { ExecutedCall } from './executed-calls.js';
import {
  commentary,
  executedItem,
  type Item,
  itemsOf,
  messageItem,
  type ResponseOf,
  reasoningItem,
  reasoningPart,
  responseOf,
  textPart,
  unansweredOf,
} from './responses-reply.js';
import type { CallBegun, Told } from './told.js';

export type ResponsesEvent = {
  readonly type: string;
  readonly sequence_number: number;
  readonly [key: string]: unknown;
};

type Events = Generator<ResponsesEvent>;

/** An item whose text arrives. */
interface OpenItem {
  readonly type: 'message' | 'reasoning';
  readonly item: Item;
  readonly output_index: number;
  text: string;
}

/** Writes the events of a streamed response. A message or reasoning that is void ends as `incomplete` and comes again, with its id. */
export class ResponseWriter {
  readonly #of: ResponseOf;
  #number = 0;
  #open: OpenItem | undefined;
  /** By `output_index`; undefined: void, or not yet done. */
  readonly #items: (Item | undefined)[] = [];
  /** Calls that have begun, by their ids. */
  readonly #begun = new Map<string, { readonly output_index: number; readonly item: Item }>();
  #messages = 0;
  #thoughts = 0;

  constructor(of: ResponseOf) {
    this.#of = of;
  }

  *begin(): Events {
    const response = unansweredOf(this.#of, 'in_progress');
    yield this.#event('response.created', { response });
    yield this.#event('response.in_progress', { response });
  }

  *told(piece: Told): Events {
    if ('text' in piece) {
      // The executed calls come before it, where none of it has been streamed.
      const isLate = piece.last === true && this.#open?.type !== 'message';
      if (!isLate) yield* this.#text(piece.text);
    } else if ('reasoning' in piece) {
      if (piece.instead) yield* this.#closeReasoning('incomplete');
      yield* this.#reasoning(piece.reasoning);
    } else if ('called' in piece) yield* this.#called(piece.called);
    else if ('executed' in piece) yield* this.#executed(piece.executed);
    else if (this.#open?.type === 'message') {
      // The response has no message that the run's output does not list.
      const stays = piece.ended === 'whole' && piece.listed;
      yield* stays ? this.#closeMessage(commentary(this.#messageOf('completed'))) : this.#closeVoid();
    }
  }

  *end(answer: Answer): Events {
    const items = itemsOf(this.#of, answer);
    yield* this.#closeReasoning();
    const open = this.#open;
    const last = items.find(isAnswer);
    const isWhole = open !== undefined && last !== undefined && textOf(last) === open.text;
    if (isWhole) yield* this.#closeMessage({ ...last, id: open.item.id });
    else yield* this.#closeVoid();
    const done = this.#items.filter((item) => item !== undefined && !(isWhole && isAnswer(item))) as Item[];
    for (const item of items) {
      if (isAnswer(item) && isWhole) continue;
      if (item.type === 'reasoning') {
        // What was told may be longer than what the run keeps.
        if (this.#thoughts === 0) yield* this.#wholeReasoning(item);
        continue;
      }
      const sent = done.findIndex((other) => isSame(other, item));
      if (sent >= 0) {
        done.splice(sent, 1);
        continue;
      }
      if (item.type === 'message') {
        // A message that the output does not list may have its id.
        const message = { ...item, id: this.#messageOf('completed').id };
        yield* this.#openMessage(message);
        yield* this.#delta(textOf(message));
        yield* this.#closeMessage(message);
      } else if (item.type === 'mcp_call') yield* this.#endCall(item);
      else yield* this.#callToMake(item);
    }
    yield* this.#endOpenCalls();
    const all = this.#items.filter((item) => item !== undefined);
    const response = responseOf(this.#of, answer, all);
    yield this.#event(`response.${response.status}`, { response });
  }

  /** The failure, after the events that name the response if nothing was written: clients take no other event as the first. */
  *failed({ error: { code, message } }: ErrorBody): Events {
    if (this.#number === 0) yield* this.begin();
    yield this.#event('response.failed', { response: unansweredOf(this.#of, 'failed', { code, message }) });
  }

  *#text(delta: string): Events {
    yield* this.#closeReasoning();
    if (!this.#open) yield* this.#openMessage(messageItem(this.#of.run, this.#messages, 'in_progress'));
    yield* this.#delta(delta);
  }

  *#openMessage(item: Item): Events {
    const output_index = this.#take();
    this.#open = { type: 'message', item, output_index, text: '' };
    yield this.#event('response.output_item.added', {
      output_index,
      item: { ...item, status: 'in_progress', content: [] },
    });
    yield this.#event('response.content_part.added', { ...this.#place(this.#open), part: textPart('') });
  }

  *#delta(delta: string): Events {
    const open = this.#open;
    if (!open || delta === '') return;
    open.text += delta;
    yield this.#event('response.output_text.delta', { ...this.#place(open), delta, logprobs: [] });
  }

  #messageOf(status: 'completed' | 'incomplete'): Item {
    return messageItem(this.#of.run, this.#messages, status, this.#open?.text ?? '');
  }

  *#closeMessage(item: Item): Events {
    const open = this.#open;
    if (!open) return;
    this.#items[open.output_index] = item;
    this.#messages += 1;
    yield* this.#close(open, item);
  }

  *#closeVoid(): Events {
    if (this.#open) yield* this.#close(this.#open, this.#messageOf('incomplete'));
  }

  *#close(open: OpenItem, item: Item): Events {
    const { output_index, text } = open;
    const place = this.#place(open);
    this.#open = undefined;
    const [part = textPart(text)] = item.content as readonly ReturnType<typeof textPart>[];
    yield this.#event('response.output_text.done', { ...place, text, logprobs: part.logprobs });
    yield this.#event('response.content_part.done', { ...place, part });
    yield this.#event('response.output_item.done', { output_index, item });
  }

  *#reasoning(delta: string): Events {
    if (!this.#open) {
      const whole = reasoningItem({ run: this.#of.run }, this.#thoughts++, '');
      const output_index = this.#take();
      const item = { ...whole, status: 'in_progress', content: [] };
      this.#open = { type: 'reasoning', item, output_index, text: '' };
      yield this.#event('response.output_item.added', { output_index, item });
      yield this.#event('response.content_part.added', { ...this.#place(this.#open), part: reasoningPart('') });
    }
    const open = this.#open as OpenItem;
    open.text += delta;
    yield this.#event('response.reasoning_text.delta', { ...this.#place(open), delta });
  }

  *#closeReasoning(status: 'completed' | 'incomplete' = 'completed'): Events {
    const open = this.#open;
    if (open?.type !== 'reasoning') return;
    this.#open = undefined;
    const { output_index, text } = open;
    const item = { ...reasoningItem(this.#of, this.#thoughts - 1, text), status };
    if (status === 'completed') this.#items[output_index] = item;
    else this.#thoughts -= 1;
    yield this.#event('response.reasoning_text.done', { ...this.#place(open), text });
    yield this.#event('response.content_part.done', { ...this.#place(open), part: reasoningPart(text) });
    yield this.#event('response.output_item.done', { output_index, item });
  }

  /** Reasoning that nobody was told while it was made. */
  *#wholeReasoning(item: Item): Events {
    const [part] = item.content as readonly ReturnType<typeof reasoningPart>[];
    if (!part) return;
    yield* this.#reasoning(part.text);
    yield* this.#closeReasoning();
  }

  *#called({ id, ...call }: CallBegun): Events {
    yield* this.#closeReasoning();
    const begun = { id, ...call, status: 'completed', output: null, error: null } as const;
    yield* this.#beginCall(executedItem(this.#of.model.pipeline.name, begun));
  }

  *#executed(call: ExecutedCall): Events {
    yield* this.#endCall(executedItem(this.#of.model.pipeline.name, call));
  }

  *#beginCall(item: Item): Generator<ResponsesEvent, { readonly output_index: number }> {
    yield* this.#endVoid(item);
    const output_index = this.#take();
    this.#begun.set(keyOf(item), { output_index, item });
    const at = { item_id: item.id, output_index };
    const begun = { ...item, arguments: '', output: null, error: null, status: 'in_progress' };
    yield this.#event('response.output_item.added', { output_index, item: begun });
    yield this.#event('response.mcp_call.in_progress', at);
    yield this.#event('response.mcp_call_arguments.delta', { ...at, delta: item.arguments });
    yield this.#event('response.mcp_call_arguments.done', { ...at, arguments: item.arguments });
    return { output_index };
  }

  /** Ends a call in whose place another one of its id is made, or whose record differs from what was told. */
  *#endVoid({ id }: Item): Events {
    const begun = this.#begun.get(String(id));
    if (!begun) return;
    const { output_index } = begun;
    const isEnded = this.#items[output_index] !== undefined;
    this.#items[output_index] = undefined;
    if (isEnded) return;
    const item = { ...begun.item, status: 'incomplete' };
    yield this.#event('response.mcp_call.failed', { item_id: id, output_index });
    yield this.#event('response.output_item.done', { output_index, item });
  }

  /** Ends calls of an agent's candidate that failed before they had ended: the run's output does not list them. */
  *#endOpenCalls(): Events {
    for (const { item, output_index } of this.#begun.values())
      if (this.#items[output_index] === undefined) yield* this.#endVoid(item);
  }

  *#endCall(item: Item): Events {
    const known = this.#begun.get(keyOf(item));
    // A person may have changed the arguments.
    const isOther = !known || this.#items[known.output_index] !== undefined || known.item.name !== item.name;
    const { output_index } = isOther ? yield* this.#beginCall(item) : known;
    this.#items[output_index] = item;
    yield this.#event(`response.mcp_call.${item.status}`, { item_id: item.id, output_index });
    yield this.#event('response.output_item.done', { output_index, item });
  }

  *#callToMake(item: Item): Events {
    const output_index = this.#take();
    this.#items[output_index] = item;
    const { id: item_id, name } = item;
    const at = { item_id, output_index };
    const isCustom = item.type === 'custom_tool_call';
    const empty = isCustom ? { input: '' } : { arguments: '' };
    yield this.#event('response.output_item.added', {
      output_index,
      item: { ...item, ...empty, status: 'in_progress' },
    });
    if (isCustom) {
      yield this.#event('response.custom_tool_call_input.delta', { ...at, delta: item.input });
      yield this.#event('response.custom_tool_call_input.done', { ...at, input: item.input });
    } else {
      yield this.#event('response.function_call_arguments.delta', { ...at, delta: item.arguments });
      yield this.#event('response.function_call_arguments.done', { ...at, name, arguments: item.arguments });
    }
    yield this.#event('response.output_item.done', { output_index, item });
  }

  /** The next index. */
  #take(): number {
    return this.#items.push(undefined) - 1;
  }

  #place({ item, output_index }: OpenItem) {
    return { item_id: item.id, output_index, content_index: 0 };
  }

  #event(type: string, body: object): ResponsesEvent {
    return { type, sequence_number: this.#number++, ...body };
  }
}

const isAnswer = ({ type, phase }: Item): boolean => type === 'message' && phase === undefined;

const keyOf = ({ id }: Item): string => String(id);

/**
 * Whether an item that was sent is the listed one: a call by its id and content, a message by its text. Its id is a position, which is another one where the events of a
 * message before it were lost.
 */
function isSame(sent: Item, listed: Item): boolean {
  if (sent.type !== listed.type || sent.phase !== listed.phase) return false;
  if (sent.type === 'message') return textOf(sent) === textOf(listed);
  return JSON.stringify(sent) === JSON.stringify(listed);
}

const textOf = ({ content }: Item): string => (content as readonly { readonly text?: string }[])[0]?.text ?? '';
