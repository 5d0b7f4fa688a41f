import type { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import type { RunEvent } from '../../pipelines/run/index.js';
import type { ServerEvent } from '../http/event-stream.js';
import type { Answer } from '../openai/chat-reply.js';
import type { Model } from '../openai/models.js';
import { SentText } from '../openai/sent-text.js';
import type { NeedsInput } from '../waiting/follow-call.js';
import { interruptOf } from './interrupt.js';
import type { RunInput } from './run-input.js';

const event = (data: { readonly type: string }): ServerEvent => ({ data: JSON.stringify(data) });

/** Writes a run as AG-UI's events: steps are stages, and the state has the run's id and the status of each step. */
export class RunEvents {
  readonly #input: RunInput;
  readonly #model: Pick<Model, 'textStages'>;
  readonly #text = new SentText();
  readonly #steps = new Set<string>();
  readonly #messageId: string;
  #writing = false;

  constructor(input: RunInput, model: Pick<Model, 'textStages'>) {
    this.#input = input;
    this.#model = model;
    this.#messageId = `msg_${input.runId}`;
  }

  *start(run: string): Generator<ServerEvent> {
    const { threadId, runId, state } = this.#input;
    yield event({ type: 'RUN_STARTED', threadId, runId } as { type: string });
    const given = isJsonObject(state as Json) ? (state as JsonObject) : {};
    yield event({ type: 'STATE_SNAPSHOT', snapshot: { ...given, millrace: { run, steps: {} } } } as { type: string });
  }

  *of(each: RunEvent): Generator<ServerEvent> {
    if (each.type === 'events.lost') return;
    const { path, stage } = each;
    const isText = this.#model.textStages.has(stage);
    switch (each.type) {
      case 'stage.started':
        if (isText) this.#text.begin();
        yield this.#status(path, 'running');
        if (this.#steps.has(path)) return;
        this.#steps.add(path);
        yield event({ type: 'STEP_STARTED', stepName: path } as { type: string });
        return;
      case 'stage.delta':
        if (isText) yield* this.#say(this.#text.add(each.text));
        return;
      case 'stage.finished':
        yield this.#status(path, 'done');
        yield* this.#finish(path);
        return;
      case 'stage.failed':
        yield this.#status(path, 'failed');
        return;
      case 'stage.waiting':
        yield this.#status(path, 'waiting');
        return;
      case 'stage.decided':
        yield this.#status(path, each.approved ? 'approved' : 'rejected');
        return;
      default:
        return;
    }
  }

  /** The rest of a run that has succeeded. */
  *end(answer: Answer, output: JsonObject): Generator<ServerEvent> {
    const { text, executed, toolCalls } = answer;
    yield* this.#say(this.#text.end(text));
    if (this.#writing) yield event({ type: 'TEXT_MESSAGE_END', messageId: this.#messageId } as { type: string });
    for (const { id, name, arguments: given, output: result, error } of executed) {
      yield* this.#call(id, name, given);
      const content = result ?? `Error: ${error ?? 'unknown'}`;
      yield event({ type: 'TOOL_CALL_RESULT', messageId: `res_${id}`, toolCallId: id, content, role: 'tool' } as {
        type: string;
      });
    }
    for (const { id, name, arguments: given } of toolCalls) yield* this.#call(id, name, JSON.stringify(given));
    const pending = toolCalls.map(({ id }) => id);
    yield* this.#closed({ type: 'success', ...(pending.length > 0 && { pendingToolCallIds: pending }) }, output);
  }

  /** The run waits for a person: the client answers with its next run. */
  *interrupt(needs: NeedsInput): Generator<ServerEvent> {
    if (this.#writing) yield event({ type: 'TEXT_MESSAGE_END', messageId: this.#messageId } as { type: string });
    yield* this.#closed({ type: 'interrupt', interrupts: needs.waits.map((wait) => interruptOf(needs, wait)) });
  }

  error({ code }: MillraceError, message: string): ServerEvent {
    return event({ type: 'RUN_ERROR', message, code } as { type: string });
  }

  *#say(delta: string): Generator<ServerEvent> {
    if (delta === '') return;
    const messageId = this.#messageId;
    if (!this.#writing) yield event({ type: 'TEXT_MESSAGE_START', messageId, role: 'assistant' } as { type: string });
    this.#writing = true;
    yield event({ type: 'TEXT_MESSAGE_CONTENT', messageId, delta } as { type: string });
  }

  *#call(toolCallId: string, toolCallName: string, delta: string): Generator<ServerEvent> {
    const parentMessageId = this.#messageId;
    yield event({ type: 'TOOL_CALL_START', toolCallId, toolCallName, parentMessageId } as { type: string });
    yield event({ type: 'TOOL_CALL_ARGS', toolCallId, delta } as { type: string });
    yield event({ type: 'TOOL_CALL_END', toolCallId } as { type: string });
  }

  /** Every step that has begun must be finished before the run is. */
  *#closed(outcome: object, result?: JsonObject): Generator<ServerEvent> {
    for (const path of [...this.#steps]) yield* this.#finish(path);
    const { threadId, runId } = this.#input;
    yield event({ type: 'RUN_FINISHED', threadId, runId, outcome, ...(result && { result }) } as { type: string });
  }

  *#finish(path: string): Generator<ServerEvent> {
    if (this.#steps.delete(path)) yield event({ type: 'STEP_FINISHED', stepName: path } as { type: string });
  }

  /** A change of the state, as JSON Patch (RFC 6902). */
  #status(path: string, value: string): ServerEvent {
    const at = `/millrace/steps/${path.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return event({ type: 'STATE_DELTA', delta: [{ op: 'add', path: at, value }] } as { type: string });
  }
}
