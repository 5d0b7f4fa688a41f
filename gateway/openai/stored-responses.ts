import { extensionOf } from '../../media/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ChatMessage, ContentPart } from '../../pipelines/stages/index.js';
import type { RunDocument } from '../../runs/document.js';
import { notesOf } from '../../runs/notes.js';
import { type Paced, readPaced } from '../../runs/paced-runs.js';
import type { RunRecord } from '../../runs/read.js';
import { readRecorded } from '../../runs/recorded.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { chargeReads } from './charged-reads.js';
import { answerOf } from './chat-reply.js';
import { type Turn, turnsOfInput } from './conversation.js';
import { invalidParam } from './error-body.js';
import type { Models } from './models.js';
import { type GivenItem, type Item, isReference, item } from './responses-items.js';
import { type Echo, echoIn } from './responses-notes.js';
import { answerTo, itemsOf, type ResponseOf, responseId, responseOf, unansweredOf } from './responses-reply.js';
import { turnsOf } from './responses-turns.js';
import { isSealed, type ReasoningSeals } from './sealed-reasoning.js';

const RESPONSE_ID = /^resp_([a-z][a-z0-9-]{1,127})$/;
/** Ids of items: those of responses, with the run in the middle. */
const ITEM_ID = /^(?:msg|rs|fc|ctc|mcp_exec)_([a-z][a-z0-9-]{1,127})(?:_\d{1,9})?$/;

/** The id of the response that an item is of; undefined for an item that a caller has given. */
export function responseOfItem(id: string): string | undefined {
  const run = ITEM_ID.exec(id)?.[1];
  return run === undefined ? undefined : responseId(run);
}

/** Most references of one request: each takes calls to Temporal. */
const MOST_REFERENCES = 64;

/** A response that is kept, which is a run with the door's notes. */
export interface StoredResponse {
  readonly of: ResponseOf;
  readonly document: RunDocument;
  /** The run's input as the pipeline got it. */
  readonly input: JsonObject;
}

/** Responses by their ids, for as long as their runs are kept. */
export class StoredResponses {
  readonly #deps: GatewayDeps;
  readonly #models: Models;
  readonly #seals: ReasoningSeals;

  constructor(deps: GatewayDeps, models: Models, seals: ReasoningSeals) {
    this.#deps = deps;
    this.#models = models;
    this.#seals = seals;
  }

  /**
   * Throws as `readRecorded` does, `RUN_NOT_FOUND` also for a response of `store: false` and for one of another tenant, and `RATE_LIMITED` while
   * too many large runs are read.
   */
  async find(id: string, caller: Caller, how?: Paced): Promise<StoredResponse> {
    const run = RESPONSE_ID.exec(id)?.[1];
    if (run === undefined) throw notFound(id);
    try {
      const echo = echoIn(await notesOf(this.#deps, run, caller, how));
      // Any run of the tenant may be named so: what is no response is not read.
      if (echo === undefined) throw notFound(id);
      const { document, input = {} } = await this.#read(run, caller, echo, how);
      const model = this.#models.find('chat', document.pipeline, caller);
      if (model === undefined) throw notFound(id);
      const seal = echo.sealed_reasoning && (await this.#seals.of(caller.tenant)).seal;
      return { of: { run, createdAt: document.createdAt, model, echo, seal }, document, input };
    } catch (error) {
      throw error instanceof MillraceError && error.code === 'RUN_NOT_FOUND' ? notFound(id) : error;
    }
  }

  /** A response that is sent ahead of Temporal's record is complete for who has got it. */
  async #read(run: string, caller: Caller, echo: Echo, how?: Paced): Promise<RunRecord> {
    const found = await readPaced(this.#deps, run, caller, how);
    if (echo.background) return found;
    return await readRecorded(this.#deps, found, caller, undefined, how);
  }

  /** The response as its caller sees it now. */
  body({ of, document }: StoredResponse) {
    const { status, error } = document;
    if (status === 'succeeded') return responseOf(of, answerTo(of, document));
    if (status === 'running') return unansweredOf(of, 'in_progress');
    if (status === 'cancelled') return unansweredOf(of, 'cancelled');
    return unansweredOf(of, 'failed', { code: error?.code ?? 'RUN_FAILED', message: error?.message ?? '' });
  }

  /** The items of its output. */
  itemsOf({ of, document }: StoredResponse): readonly Item[] {
    if (document.status !== 'succeeded') return [];
    return itemsOf(of, answerOf(document, of.model)) as unknown as Item[];
  }

  /** The turns that it was asked with, instructions excepted. */
  turnsBefore({ of, input }: StoredResponse, param: string): Turn[] {
    return turnsOfInput(of.model, input, of.echo.instructions ?? '', param);
  }

  /**
   * The conversation up to and including a response. Throws `INVALID_INPUT` naming the parameter for one that does not
   * exist or has no answer.
   */
  async turnsUpTo(id: string, caller: Caller, param: string): Promise<Turn[]> {
    requirePermission(caller, 'read');
    const found = await this.#named(id, caller, param);
    const { status } = found.document;
    if (status !== 'succeeded') throw invalidParam(param, `the response "${id}" has no answer: its run is ${status}`);
    return this.turnsIn(found, param);
  }

  /** The same, of a response that has an answer. */
  turnsIn(found: StoredResponse, param: string): Turn[] {
    return [...this.turnsBefore(found, param), ...turnsOf(this.itemsOf(found), () => param)];
  }

  /**
   * The items with those that they refer to in place of references, and the text of sealed reasoning. Throws `INVALID_INPUT` naming the
   * item.
   * @param about the request's name of the items
   */
  async resolved(items: readonly GivenItem[], caller: Caller, about = 'input'): Promise<readonly Item[]> {
    return await this.#opened(await this.#withReferences(items, caller), caller, about);
  }

  async #opened(items: readonly Item[], caller: Caller, about: string): Promise<readonly Item[]> {
    if (!items.some((each) => sealedIn(each) !== undefined)) return items;
    const { open } = await this.#seals.of(caller.tenant);
    return items.map((each, i) => {
      const given = sealedIn(each);
      if (given === undefined) return each;
      const text = open(given);
      if (text !== undefined) return { type: 'reasoning', content: [{ type: 'reasoning_text', text }] } satisfies Item;
      const message = 'was not issued by this gateway to this tenant, or the secret behind it is gone; omit the item';
      throw invalidParam(`${about}[${i}].encrypted_content`, message);
    });
  }

  async #withReferences(items: readonly GivenItem[], caller: Caller): Promise<readonly Item[]> {
    const references = items.filter(isReference).length;
    if (references === 0) return items as readonly Item[];
    requirePermission(caller, 'read');
    if (references > MOST_REFERENCES)
      throw invalidParam('input', `has ${references} references to items; at most ${MOST_REFERENCES} are resolved`);
    await chargeReads(this.#deps, caller, references);
    const found = new Map<string, Promise<readonly Item[]>>();
    const itemsOfRun = (run: string, param: string) => {
      const known = found.get(run) ?? this.#named(responseId(run), caller, param).then((each) => this.itemsOf(each));
      found.set(run, known);
      return known;
    };
    const resolved: Item[] = [];
    for (const [i, each] of items.entries()) {
      if (!isReference(each)) {
        resolved.push(each as Item);
        continue;
      }
      const param = `input[${i}]`;
      const run = ITEM_ID.exec(each.id)?.[1];
      const all = run === undefined ? [] : await itemsOfRun(run, param);
      const one = all.find((other) => (other as { id?: string }).id === each.id);
      // Reasoning that was streamed is kept only where the run's output has it.
      if (one === undefined && each.id.startsWith('rs_')) continue;
      if (one === undefined) throw invalidParam(param, `refers to "${each.id}", which is no item of a kept response`);
      resolved.push(item.parse(one));
    }
    return resolved;
  }

  async #named(id: string, caller: Caller, param: string): Promise<StoredResponse> {
    try {
      return await this.find(id, caller);
    } catch (error) {
      if (!(error instanceof MillraceError) || error.code !== 'RUN_NOT_FOUND') throw error;
      throw invalidParam(param, `the response "${id}" does not exist, or is no longer kept`);
    }
  }
}

export function notFound(id: string): MillraceError {
  const message = `no response has the id "${id}"; one is kept as long as its run, and none with "store": false`;
  return new MillraceError('RUN_NOT_FOUND', message, { fields: [{ field: 'response_id', message }] });
}

/** What a reasoning item has sealed here; undefined for all others. */
function sealedIn(each: Item): string | undefined {
  if (each.type !== 'reasoning') return undefined;
  const { encrypted_content: given } = each;
  return typeof given === 'string' && isSealed(given) ? given : undefined;
}

/** A part of a user's message; media by the address of their artifact, which a later request may send again. */
function partItem(part: ContentPart): JsonObject {
  switch (part.type) {
    case 'text':
      return { type: 'input_text', text: part.text };
    case 'image':
      return { type: 'input_image', image_url: part.image.uri, detail: part.detail ?? 'auto' };
    case 'audio':
      return { type: 'input_audio', input_audio: { data: part.audio.uri, format: formatOf(part.audio.mime) } };
    case 'video':
      return { type: 'input_file', file_data: part.video.uri };
    case 'file':
      return { type: 'input_file', file_data: part.file.uri, ...(part.name && { filename: part.name }) };
  }
}

/** What a call has given: media in a list behind the text. */
const outputOf = ({ content, parts }: ChatMessage): string | readonly JsonObject[] =>
  parts === undefined ? content : [{ type: 'input_text', text: content }, ...parts.map(partItem)];

const formatOf = (mime: string): string =>
  (extensionOf(mime) || mime.slice(mime.indexOf('/'))).replace(/[^a-z0-9]/g, '').slice(0, 16);

type ListedItem = Readonly<Record<string, unknown>> & { readonly id: string };

/** Turns as items of the protocol, for lists. */
export function messageItemsOf(turns: readonly Turn[], run: string): ListedItem[] {
  let n = 0;
  const id = () => `item_${run}_${n++}`;
  return turns.flatMap(({ message }): ListedItem[] => {
    if (message.role === 'tool')
      return [{ id: id(), type: 'function_call_output', call_id: message.toolCallId ?? '', output: outputOf(message) }];
    const { reasoning } = message;
    const thought =
      reasoning === undefined
        ? []
        : [{ id: id(), type: 'reasoning', summary: [], content: [{ type: 'reasoning_text', text: reasoning }] }];
    const type = message.role === 'assistant' ? 'output_text' : 'input_text';
    const text = {
      id: id(),
      type: 'message',
      role: message.role,
      status: 'completed',
      content: [{ type, text: message.content }, ...(message.parts ?? []).map(partItem)],
    };
    const calls = (message.toolCalls ?? []).map(({ id: call_id, name, arguments: given }) => ({
      id: id(),
      type: 'function_call',
      status: 'completed',
      call_id,
      name,
      arguments: JSON.stringify(given),
    }));
    return message.content === '' && calls.length > 0 ? [...thought, ...calls] : [...thought, text, ...calls];
  });
}
