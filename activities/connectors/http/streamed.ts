import { MillraceError } from '../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import { linkedAbort } from '../../../runtime/limited.js';
import type { CallContext } from '../connector.js';
import { chunksOf, textOf } from '../exchange.js';
import { parseJson, valueAt } from '../json-values.js';
import { WholeText } from '../whole-text.js';
import type { Api } from './api.js';
import { type Condition, holds } from './condition.js';
import { payloadsOf } from './event-stream.js';
import { eventsOf, linesOf, textsOf } from './events.js';
import { failureWithin } from './faults.js';
import { isPage } from './page.js';
import { tellProgress } from './progress.js';
import type { Scope } from './template.js';

type Stream = NonNullable<Api['response']['stream']>;

/** What a stream has answered. */
interface Streamed {
  /** What templates see: the last event as `/body`, all text as `/text`. */
  readonly answered: Scope;
  /** Where the token counts are: the event that has them, by the pool's stream, or the last one. */
  readonly counted: Scope;
}

/**
 * A streamed answer. Text is emitted as it arrives. Events behind the last one are read for the token counts alone, for half a second at
 * most. An abort meanwhile ends that reading only: the answer is whole. Throws the error that an event has inside, and
 * `BACKEND_UNAVAILABLE` for a stream that breaks off.
 */
export async function streamed(api: Api, response: Response, scope: Scope, context: CallContext): Promise<Streamed> {
  const { stream } = api.response;
  if (!stream) throw new MillraceError('INTERNAL', 'the pool’s answers are not streamed');
  const { status, headers } = response;
  const about = { ...scope, status, headers: Object.fromEntries(headers) };
  const failed = (body: Json): void => {
    const failure = failureWithin(api, { ...about, body, text: '' }, headers);
    if (failure) throw failure;
  };
  const collected = new Collected(stream, context.emit);
  const type = typeOf(response, stream);
  if (stream.as === 'text') {
    await collectText(bytesOf(response, stream, context.signal), type, collected);
    const answered = { ...about, body: collected.text, text: collected.text };
    return { answered, counted: answered };
  }
  const isAt = (condition: Condition | undefined, body: Json): boolean =>
    condition !== undefined && holds(condition, { ...about, body });
  const reading = linkedAbort(context.signal);
  let tail: NodeJS.Timeout | undefined;
  let last: Json = null;
  let counts: Json | undefined;
  let events = 0;
  let ended = false;
  try {
    for await (const { data, cut } of dataOf(response, stream, reading.own.signal)) {
      events += 1;
      // Servers send it after a failure too: it does not stand for the event that ends an answer.
      if (data === stream.endData) break;
      // Some servers end their last event with the connection; of half an event nothing can be read.
      const event = parseJson(data, (problem) =>
        cut ? collected.brokenOff() : new MillraceError('INVALID_OUTPUT', `an event’s ${problem}`),
      );
      const hasCounts = isAt(stream.usage, event);
      if (hasCounts) counts = event;
      if (ended && hasCounts) break;
      if (ended) continue;
      last = event;
      failed(last);
      collected.add(isAt(stream.skip, last) ? '' : deltaIn(last, stream));
      tellProgress(stream.progress, { body: last }, context);
      ended = isAt(stream.end, last);
      if (ended && (stream.usage === undefined || hasCounts)) break;
      if (ended) tail = setTimeout(() => reading.own.abort(new Error('the tokens are not told')), COUNTS_MS);
    }
  } catch (error) {
    // The answer is whole: what is behind it may be missing.
    if (!ended) throw error;
  } finally {
    clearTimeout(tail);
    reading.release();
  }
  if (!ended) context.signal.throwIfAborted();
  if (events === 0 && stream.as === 'sse' && type !== '' && !type.includes('event-stream')) throw noStream(type);
  if (stream.end && !ended) throw collected.brokenOff();
  if (events === 0) throw new MillraceError('INVALID_OUTPUT', 'the stream has no events');
  collected.ends();
  const answered = { ...about, body: last, text: collected.text };
  return { answered, counted: counts === undefined ? answered : { ...about, body: counts } };
}

async function collectText(bytes: AsyncIterable<Uint8Array>, type: string, collected: Collected): Promise<void> {
  for await (const part of textsOf(bytes, () => collected.brokenOff())) {
    if (collected.text === '' && isPage(type, part)) throw noStream(type);
    collected.add(part);
  }
  // A server that fails before its first text can only close the stream.
  if (collected.text === '') throw new MillraceError('INVALID_OUTPUT', 'the stream has no text');
}

const noStream = (type: string): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `the answer is ${type}, not a stream of the model`);

/** Of what the model has answered: in frames its own type is beside that of the frames. */
const typeOf = ({ headers }: Response, { framing }: Stream): string =>
  headers.get(framing ? 'x-amzn-sagemaker-content-type' : 'content-type') ?? '';

/** How long the tokens used are awaited behind the event that ends an answer: servers send them at once. */
const COUNTS_MS = 500;
/** How long the end of a stream is awaited, unused. */
const TAIL_MS = 1_000;

function bytesOf(response: Response, { framing }: Stream, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const chunks = chunksOf(response, signal, TAIL_MS);
  return framing ? payloadsOf(chunks) : chunks;
}

interface Data {
  readonly data: string;
  /** The stream ended without the end of this event or line. */
  readonly cut?: true | undefined;
}

/** Content types of one text of JSON, and of lines of JSON: "json" is how the name of the other begins. */
const WHOLE = /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i;
const LINES = /^application\/(?:x-)?(?:jsonlines|jsonl|ndjson)\s*(?:;|$)/i;

/**
 * The data of each event, or each line. A whole answer of JSON, as servers give that do not stream, is one event. Lines of JSON, as
 * SageMaker's LMI containers stream chat completions, are an event each; some servers give their events such a type.
 */
async function* dataOf(response: Response, stream: Stream, signal: AbortSignal): AsyncGenerator<Data, void> {
  const { as, events } = stream;
  const chunks = bytesOf(response, stream, signal);
  const type = typeOf(response, stream);
  if (as === 'sse' && WHOLE.test(type)) {
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    const { status } = response;
    yield { data: textOf({ status, headers: new Headers({ 'content-type': type }), body: Buffer.concat(parts) }) };
  } else if (as === 'ndjson') {
    for await (const { text, cut } of linesOf(chunks)) if (text.trim() !== '') yield { data: text, cut };
  } else {
    for await (const { event, data, cut } of eventsOf(chunks, undefined, LINES.test(type)))
      if (!events || event === '' || events.includes(event)) yield { data, cut };
  }
}

function deltaIn(event: Json, { delta }: Stream): string {
  for (const pointer of [delta ?? []].flat()) {
    const value = valueAt({ body: event } as JsonObject, pointer);
    if (typeof value === 'string') return value;
  }
  return '';
}

/** The text of a stream. */
class Collected {
  readonly #growing: WholeText | undefined;
  readonly #emit: CallContext['emit'];
  text = '';

  constructor({ mode }: Stream, emit: CallContext['emit']) {
    this.#growing = mode === 'whole' ? new WholeText() : undefined;
    this.#emit = emit;
  }

  /** The text of an event; an event without any is progress. */
  add(part: string): void {
    if (!this.#growing) this.text += part;
    else if (part !== '') this.text = part;
    this.#emit(this.#growing && part !== '' ? this.#growing.next(part) : part);
  }

  /** No event follows. */
  ends(): void {
    const rest = this.#growing?.last(this.text) ?? '';
    if (rest !== '') this.#emit(rest);
  }

  brokenOff(): MillraceError {
    return new MillraceError('BACKEND_UNAVAILABLE', `the stream broke off after ${this.text.length} characters`);
  }
}
