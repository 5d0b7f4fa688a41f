import { maxHeaderSize } from 'node:http';
import {
  constants,
  type Http2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import { MillraceError } from '../../pipelines/errors.js';
import type { RationedWarnings } from '../../telemetry/warnings.js';
import { headersTooLarge } from '../http/broken-request.js';
import { MOST_HEADERS } from '../http/connections.js';
import { LINGER_MS } from './grpc-body.js';
import { grpcStatus } from './grpc-status.js';

/** Internals of grpc-js: its HTTP/2 servers. */
interface Internals {
  readonly http2Servers: ReadonlyMap<Http2Server, unknown>;
}

/** `raw`: names and values in turn, of repeated fields each. */
type OnStream = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  flags: number,
  raw: readonly string[],
) => void;

/**
 * SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 §6.5.2: name, value and 32 bytes for each field), which clients are told. Beyond it, and beyond 128 fields,
 * Node resets the stream (ENHANCE_YOUR_CALM) and keeps none of it; up to it the call gets an answer with a code. It applies once the client has
 * acknowledged it, so a connection that sends too much again before that is ended when its calls are.
 */
const MOST_DECODED_BYTES = maxHeaderSize + 8 * 1_024;

/** Names and values that grpc-js accepts. It ignores other fields, and writes them to standard error, a key or token included. */
const NAME = /^[:0-9a-z_.-]+$/;
const VALUE = /^[ -~]*$/;

/**
 * Limits the headers of calls as those of HTTP requests, before grpc-js reads them: grpc-js does so before anybody can refuse the call, and makes a
 * Buffer of each value of a binary field, a few bytes of which HPACK can repeat to hundreds of kilobytes. Closes the stream of a client that does not end a
 * call that was answered here. To be called when the server has its listeners. Throws if the internals of grpc-js have changed.
 */
export function boundCallHeaders(server: Server, warnings: RationedWarnings): void {
  const listeners = [...((server as unknown as Partial<Internals>).http2Servers?.keys() ?? [])];
  if (listeners.length === 0 || listeners.some((each) => each.listenerCount('stream') === 0))
    throw new MillraceError(
      'INTERNAL',
      'this release of @grpc/grpc-js does not expose its HTTP/2 server, so the headers of calls cannot be limited',
    );
  const refusedBefore = new WeakSet<Http2Session>();
  for (const listener of listeners) {
    listener.updateSettings({ maxHeaderListSize: MOST_DECODED_BYTES });
    const handlers = listener.listeners('stream') as OnStream[];
    const receive: OnStream = (stream, headers, flags, raw) => {
      stream.on('error', () => undefined);
      // Nothing can be sent any more: to try is an error that nobody would catch.
      if (stream.closed) return;
      const excess = excessOf(raw);
      if (excess !== undefined) {
        warnings.warn('headers', { from: stream.session?.socket.remoteAddress }, `a gRPC call was refused: ${excess}`);
        refuse(stream, headersTooLarge(excess));
        const { session } = stream;
        if (session?.pendingSettingsAck && refusedBefore.has(session)) session.close();
        else if (session) refusedBefore.add(session);
      } else {
        for (const [name, value] of fieldsOf(raw)) if (!isReadable(name, value)) delete headers[name];
        for (const handle of handlers) handle(stream, headers, flags, raw);
      }
      // Also by grpc-js: the method is unknown, or it is no gRPC.
      if (stream.writableEnded) endSoon(stream);
    };
    listener.removeAllListeners('stream').on('stream', receive);
  }
}

/** What exceeds the limits, if anything does. */
function excessOf(raw: readonly string[]): string | undefined {
  let fields = 0;
  let bytes = 0;
  for (const [name, value] of fieldsOf(raw)) {
    bytes += name.length + value.length;
    if (bytes > maxHeaderSize) return `the headers are above ${maxHeaderSize / 1_024} KiB`;
    if (!name.startsWith(':')) fields += isBinary(name) ? value.split(',', MOST_HEADERS + 1).length : 1;
    if (fields > MOST_HEADERS)
      return `there are more than ${MOST_HEADERS} header fields, each value of a binary one counted`;
  }
  return undefined;
}

function* fieldsOf(raw: readonly string[]): Generator<readonly [name: string, value: string]> {
  for (let i = 0; i + 1 < raw.length; i += 2) yield [raw[i] as string, raw[i + 1] as string];
}

const isBinary = (name: string): boolean => name.endsWith('-bin');

const isReadable = (name: string, value: string): boolean => NAME.test(name) && (isBinary(name) || VALUE.test(value));

function refuse(stream: ServerHttp2Stream, { code, message }: MillraceError): void {
  const headers = {
    ':status': constants.HTTP_STATUS_OK,
    'content-type': 'application/grpc+proto',
    'grpc-status': grpcStatus(code),
    'grpc-message': message,
    'millrace-code': code,
  };
  stream.respond(headers, { endStream: true });
}

/** Discards what the client still sends, and closes the stream when its answer is sent, or has not been read in time. */
function endSoon(stream: ServerHttp2Stream): void {
  const late = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), LINGER_MS);
  stream.once('finish', () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)));
  stream.once('close', () => clearTimeout(late));
  stream.resume();
}
