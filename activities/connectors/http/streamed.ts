import { MillraceError } from '../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../pipelines/json.js';
import type { CallContext } from '../connector.js';
import { chunksOf, textOf } from '../exchange.js';
import { parseJson, valueAt } from '../json-values.js';
import type { Api } from './api.js';
import { holds } from './condition.js';
import { payloadsOf } from './event-stream.js';
import { eventsOf, linesOf, textsOf } from './events.js';
import { failureWithin } from './faults.js';
import { isPage } from './page.js';
import { tellProgress } from './progress.js';
import type { Scope } from './template.js';

type Stream = NonNullable<Api['response']['stream']>;

/**
 * What templates see of a streamed answer: the last event as `/body`, all its text as `/text`. Text is emitted as it
 * arrives. Throws the error that an event has inside, and `BACKEND_UNAVAILABLE` for a stream that breaks off.
 */
export async function streamed(api: Api, response: Response, scope: Scope, context: CallContext): Promise<Scope> {
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
    return { ...about, body: collected.text, text: collected.text };
  }
  let last: Json = null;
  let events = 0;
  let ended = false;
  for await (const { data, cut } of dataOf(response, stream, context.signal)) {
    events += 1;
    // Servers send it after a failure too: it does not stand for the event that ends an answer.
    if (data === stream.endData) break;
    // Some servers end their last event with the connection; of half an event nothing can be read.
    last = parseJson(data, (problem) =>
      cut ? collected.brokenOff() : new MillraceError('INVALID_OUTPUT', `an event’s ${problem}`),
    );
    failed(last);
    const counts = !stream.skip || !holds(stream.skip, { ...about, body: last });
    collected.add(counts ? deltaIn(last, stream) : '');
    tellProgress(stream.progress, { body: last }, context);
    if (stream.end && holds(stream.end, { ...about, body: last })) {
      ended = true;
      break;
    }
  }
  context.signal.throwIfAborted();
  if (events === 0 && stream.as === 'sse' && type !== '' && !type.includes('event-stream')) throw noStream(type);
  if (stream.end && !ended) throw collected.brokenOff();
  if (events === 0) throw new MillraceError('INVALID_OUTPUT', 'the stream has no events');
  return { ...about, body: last, text: collected.text };
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

/** Servers send more after the event that ends an answer: the tokens used, `[DONE]`. */
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
 * SageMaker's LMI containers stream chat completions, are an event each.
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
  } else if (as === 'ndjson' || LINES.test(type)) {
    for await (const { text, cut } of linesOf(chunks)) if (text.trim() !== '') yield { data: text, cut };
  } else {
    for await (const { event, data, cut } of eventsOf(chunks))
      if (!events || events.includes(event)) yield { data, cut };
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
  readonly #whole: boolean;
  readonly #emit: CallContext['emit'];
  text = '';

  constructor({ mode }: Stream, emit: CallContext['emit']) {
    this.#whole = mode === 'whole';
    this.#emit = emit;
  }

  add(part: string): void {
    // An event without text is progress: a whole text that does not continue the one before is not its next part.
    const more = !this.#whole ? part : part.startsWith(this.text) ? part.slice(this.text.length) : '';
    this.text += more;
    this.#emit(more);
  }

  brokenOff(): MillraceError {
    return new MillraceError('BACKEND_UNAVAILABLE', `the stream broke off after ${this.text.length} characters`);
  }
}
