import { MillraceError } from '../../pipelines/errors.js';
import { LONGEST_BODY } from '../connectors/exchange.js';
import { failOfRequest } from './requests.js';

const LINE_FEED = 0x0a;
const RETURN = 0x0d;

/**
 * `fetch` for the client of an MCP server, which holds an answer, or an event of a stream, until it is whole: one above 64 MiB breaks the
 * answer off, and its request fails with `TOOL_FAILED`. A stream as a whole has no limit: it may be open for days.
 */
export const boundedMessages =
  (transport: typeof fetch = fetch): typeof fetch =>
  async (input, init) => {
    const fail = failOfRequest();
    const response = await transport(input, init);
    const { body, status, statusText, headers, url } = response;
    if (body === null) return response;
    const ends = headers.get('content-type')?.startsWith('text/event-stream') ? new EventEnds() : undefined;
    let length = 0;
    const counted = body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          const left = ends?.behind(chunk);
          length = left ?? length + chunk.length;
          if (length > LONGEST_BODY) throw refused(TOO_LONG, fail);
          controller.enqueue(chunk);
        },
      }),
    );
    return Object.defineProperty(new Response(counted, { status, statusText, headers }), 'url', { value: url });
  };

const TOO_LONG = `the server’s answer is longer than ${LONGEST_BODY / 1_024 / 1_024} MiB`;

/** The client does not tell the request why its stream has ended, and would resume a stream whose events have ids. */
function refused(why: string, fail: ((why: Error) => void) | undefined): MillraceError {
  const error = new MillraceError('TOOL_FAILED', why);
  fail?.(error);
  return error;
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
