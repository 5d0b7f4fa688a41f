import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { AnswerShape } from '../connectors/answer-shape.js';
import { LONGEST_BODY } from '../connectors/exchange.js';
import { sentRequest } from './requests.js';

const LINE_FEED = 0x0a;
const RETURN = 0x0d;
/** Levels of a message: the output of a stage may have half as many. */
const DEEPEST = 1_000;
const BAD_REQUEST = 400;

/**
 * `fetch` for the client of an MCP server, which holds an answer, or an event of a stream, until it is whole: one above 64 MiB, or that
 * `AnswerShape` refuses, breaks the answer off, and its request fails with `TOOL_FAILED`. A stream as a whole has no limit: it may be open for days.
 */
export const boundedMessages =
  (transport: typeof fetch = fetch): typeof fetch =>
  async (input, init) => {
    const sent = sentRequest();
    const response = await transport(input, init);
    const { body, status, statusText, headers, url } = response;
    if (body === null) return response;
    const type = (headers.get('content-type') ?? '').toLowerCase();
    // The client parses the body of a 400 whatever its type.
    const isJson = /json|event-stream/.test(type) || status === BAD_REQUEST;
    const isStream = type.startsWith('text/event-stream');
    const message = new BoundedMessage(isStream, isJson);
    let isEmpty = true;
    const counted = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          isEmpty = false;
          try {
            message.push(chunk);
          } catch (cause) {
            // The client does not tell the request why its stream has ended, and would resume a stream whose events have ids.
            const error = new MillraceError('TOOL_FAILED', messageOf(cause), {}, { cause });
            sent?.fail(error);
            throw error;
          }
          controller.enqueue(chunk);
        },
        flush() {
          if (sent && isStream && init?.method === 'POST') sent.empty = isEmpty;
        },
      }),
    );
    return Object.defineProperty(new Response(counted, { status, statusText, headers }), 'url', { value: url });
  };

const TOO_LONG = `the server’s answer is longer than ${LONGEST_BODY / 1_024 / 1_024} MiB`;

/** An answer, or the event of a stream that is arriving. */
class BoundedMessage {
  readonly #ends: EventEnds | undefined;
  #length = 0;
  #shape: AnswerShape | undefined;

  constructor(isStream: boolean, isJson: boolean) {
    this.#ends = isStream ? new EventEnds() : undefined;
    this.#shape = isJson ? new AnswerShape(DEEPEST) : undefined;
  }

  /** Throws for one that is too long, or whose JSON is too large or nested too deep. */
  push(chunk: Uint8Array): void {
    const left = this.#ends?.behind(chunk);
    this.#length = left ?? this.#length + chunk.length;
    if (this.#length > LONGEST_BODY) throw new Error(TOO_LONG);
    const end = chunk.length - (left ?? 0);
    this.#shape?.push(chunk.subarray(0, end));
    if (left === undefined) return;
    this.#shape = new AnswerShape(DEEPEST);
    this.#shape.push(chunk.subarray(end));
  }
}

/** Finds the empty lines that end the events of a stream. */
class EventEnds {
  #inLine = false;
  #afterReturn = false;

  /** Bytes of a chunk behind the last end of an event; undefined if none ends in it. */
  behind(chunk: Uint8Array): number | undefined {
    let behind: number | undefined;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at];
      const isSecondHalf = byte === LINE_FEED && this.#afterReturn;
      this.#afterReturn = byte === RETURN;
      if (isSecondHalf) continue;
      if (byte !== LINE_FEED && byte !== RETURN) this.#inLine = true;
      else if (this.#inLine) this.#inLine = false;
      else behind = chunk.length - at - 1;
    }
    return behind;
  }
}
