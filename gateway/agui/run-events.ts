import type { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { RunEvent, StageEvent } from '../../pipelines/run/index.js';
import type { ServerEvent } from '../http/event-stream.js';
import type { Answer } from '../openai/chat-reply.js';
import type { ExecutedCall } from '../openai/executed-calls.js';
import type { Model } from '../openai/models.js';
import { type CallBegun, RunTeller, type Told } from '../openai/told.js';
import type { NeedsInput } from '../waiting/follow-call.js';
import { interruptOf } from './interrupt.js';
import type { RunInput } from './run-input.js';

type Event = { readonly type: string; readonly [key: string]: unknown };
type Events = Generator<ServerEvent>;
const event = (data: Event): ServerEvent => ({ data: JSON.stringify(data) });

/**
 * Writes a run as AG-UI's events: steps are stages, and the state has the run's id and the status of each step. Each text of an agent is a
 * message. One that is void is named by a custom event, and comes again as another message; the same holds for a call.
 */
export class RunEvents {
  readonly #ids: Pick<RunInput, 'threadId' | 'runId'>;
  /** The client's, which is told once: it may be large. */
  #state: unknown;
  readonly #model: Model;
  #teller: RunTeller | undefined;
  readonly #steps = new Set<string>();
  /** Ids of the calls and of the results that the client has. */
  readonly #calls: Set<string>;
  readonly #results: Set<string>;
  /** The calls that the run has told, by their ids, with those that the client knows. */
  readonly #told = new Map<string, { readonly id: string; readonly name: string }>();
  #messages = 0;
  /** The message that is being written. */
  #writing: { readonly id: string; readonly thinks: boolean } | undefined;
  /** The message that a turn's calls belong to. */
  #parent: string | undefined;

  constructor(input: RunInput, model: Model) {
    this.#model = model;
    const { threadId, runId, state, messages } = input;
    this.#ids = { threadId, runId };
    this.#state = state;
    this.#calls = new Set(
      messages.flatMap((each) => (each.role === 'assistant' ? (each.toolCalls ?? []).map(({ id }) => id) : [])),
    );
    this.#results = new Set(messages.flatMap((each) => (each.role === 'tool' ? [each.toolCallId] : [])));
  }

  *start(run: string): Events {
    const { threadId, runId } = this.#ids;
    const state = this.#state;
    this.#state = undefined;
    this.#teller = new RunTeller(this.#model, run);
    yield event({ type: 'RUN_STARTED', threadId, runId });
    const given = isJsonObject(state as Json) ? (state as JsonObject) : {};
    yield event({ type: 'STATE_SNAPSHOT', snapshot: { ...given, millrace: { run, steps: {} } } });
  }

  *of(each: RunEvent): Events {
    if (each.type !== 'events.lost') yield* this.#step(each);
    for (const piece of this.#teller?.of(each) ?? []) yield* this.#tell(piece);
  }

  *#step(each: StageEvent): Events {
    const { path } = each;
    switch (each.type) {
      case 'stage.started':
        yield this.#status(path, 'running');
        if (!this.#steps.has(path)) yield event({ type: 'STEP_STARTED', stepName: path });
        this.#steps.add(path);
        break;
      case 'stage.finished':
        yield this.#status(path, 'done');
        yield* this.#finish(path);
        break;
      case 'stage.failed':
        yield this.#status(path, 'failed');
        break;
      case 'stage.waiting':
        yield this.#status(path, 'waiting');
        break;
      case 'stage.decided':
        yield this.#status(path, each.approved ? 'approved' : 'rejected');
        break;
    }
  }

  /** The rest of a run that has succeeded. */
  *end(answer: Answer, output: JsonObject): Events {
    const { executed, toolCalls } = answer;
    for (const call of executed) yield* this.#result(call);
    for (const piece of this.#teller?.end({ output }) ?? []) yield* this.#tell(piece);
    yield* this.#close();
    for (const { id, name, arguments: given } of toolCalls)
      yield* this.#call({ id, name, arguments: JSON.stringify(given) });
    const pending = toolCalls.map(({ id }) => id);
    yield* this.#closed({ type: 'success', ...(pending.length > 0 && { pendingToolCallIds: pending }) }, output);
  }

  /** The run waits for a person: the client answers with its next run. */
  *interrupt(needs: NeedsInput): Events {
    yield* this.#closed({ type: 'interrupt', interrupts: needs.waits.map((wait) => interruptOf(needs, wait)) });
  }

  error({ code }: MillraceError, message: string): ServerEvent {
    return event({ type: 'RUN_ERROR', message, code });
  }

  *#tell(piece: Told): Events {
    if ('text' in piece) yield* this.#write(false, piece.text);
    else if ('reasoning' in piece) {
      if (piece.instead) yield* this.#endVoid();
      yield* this.#write(true, piece.reasoning);
    } else if ('called' in piece) yield* this.#called(piece.called);
    else if ('executed' in piece) yield* this.#result(piece.executed);
    else if (piece.ended === 'void') yield* this.#endVoid();
    else {
      this.#parent = this.#writing?.id;
      yield* this.#close();
    }
  }

  /** Ends the message that is being written, and tells that it is void. */
  *#endVoid(): Events {
    const messageId = this.#writing?.id;
    yield* this.#close();
    if (messageId !== undefined) yield event({ type: 'CUSTOM', name: 'millrace.void', value: { messageId } });
  }

  *#write(thinks: boolean, delta: string): Events {
    if (this.#writing?.thinks !== thinks) yield* this.#close();
    const role = thinks ? 'reasoning' : 'assistant';
    const kind = thinks ? 'REASONING_MESSAGE' : 'TEXT_MESSAGE';
    if (!this.#writing) {
      const id = this.#messages === 0 ? `msg_${this.#ids.runId}` : `msg_${this.#ids.runId}_${this.#messages}`;
      this.#messages += 1;
      this.#writing = { id, thinks };
      this.#parent = undefined;
      if (thinks) yield event({ type: 'REASONING_START', messageId: id });
      yield event({ type: `${kind}_START`, messageId: id, role });
    }
    yield event({ type: `${kind}_CONTENT`, messageId: this.#writing.id, delta });
  }

  *#close(): Events {
    const writing = this.#writing;
    if (!writing) return;
    this.#writing = undefined;
    const messageId = writing.id;
    yield event({ type: writing.thinks ? 'REASONING_MESSAGE_END' : 'TEXT_MESSAGE_END', messageId });
    if (writing.thinks) yield event({ type: 'REASONING_END', messageId });
  }

  /** A call of a number that was told as another call, which is void: it has an id of its own, as a client has both. */
  *#called(call: CallBegun): Events {
    const former = this.#told.get(call.id)?.id;
    const id = former === undefined ? call.id : `${former}_again`;
    this.#told.set(call.id, { id, name: call.name });
    if (former !== undefined) {
      if (!this.#results.has(former)) yield this.#resultOf(former, 'Error: the call was not made');
      yield event({ type: 'CUSTOM', name: 'millrace.void', value: { toolCallId: former } });
    }
    yield* this.#call({ ...call, id });
  }

  *#call({ id: toolCallId, name: toolCallName, arguments: delta }: CallBegun): Events {
    if (this.#calls.has(toolCallId)) return;
    this.#calls.add(toolCallId);
    if (this.#writing?.thinks) yield* this.#close();
    const parentMessageId = this.#parent;
    yield event({ type: 'TOOL_CALL_START', toolCallId, toolCallName, ...(parentMessageId && { parentMessageId }) });
    yield event({ type: 'TOOL_CALL_ARGS', toolCallId, delta });
    yield event({ type: 'TOOL_CALL_END', toolCallId });
  }

  *#result(call: ExecutedCall): Events {
    const { output, error } = call;
    const told = this.#told.get(call.id);
    // The events of the call that took its place were lost.
    if (told && told.name !== call.name) yield* this.#called(call);
    const { id } = this.#told.get(call.id) ?? call;
    if (this.#results.has(id)) return;
    yield* this.#call({ ...call, id });
    yield this.#resultOf(id, output ?? `Error: ${error ?? 'unknown'}`);
  }

  #resultOf(toolCallId: string, content: string): ServerEvent {
    this.#results.add(toolCallId);
    return event({ type: 'TOOL_CALL_RESULT', messageId: `res_${toolCallId}`, toolCallId, content, role: 'tool' });
  }

  /** Every step that has begun must be finished before the run is. */
  *#closed(outcome: object, result?: JsonObject): Events {
    yield* this.#close();
    for (const path of [...this.#steps]) yield* this.#finish(path);
    const { threadId, runId } = this.#ids;
    yield event({ type: 'RUN_FINISHED', threadId, runId, outcome, ...(result && { result }) });
  }

  *#finish(path: string): Events {
    if (this.#steps.delete(path)) yield event({ type: 'STEP_FINISHED', stepName: path });
  }

  /** A change of the state, as JSON Patch (RFC 6902). */
  #status(path: string, value: string): ServerEvent {
    const at = `/millrace/steps/${path.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return event({ type: 'STATE_DELTA', delta: [{ op: 'add', path: at, value }] });
  }
}
