import { constants, type ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { MillraceError } from '../../pipelines/errors.js';
import { STALLED_MS } from '../http/connections.js';
import type { HeldResponse } from '../http/response-memory.js';
import type { HeldBody } from '../input/body-budget.js';
import { Filling } from '../input/filling.js';
import { readPacer } from '../input/read-pacer.js';
import { joinFor, joinSmallPieces } from '../input/small-pieces.js';

/** Prefix of a message: a compression flag, and the length in four bytes. */
const PREFIX_BYTES = 5;
/** Overhead of a message in memory, in bytes: its Buffer takes some 300 besides its bytes, and its place in a queue of grpc-js some more. */
const PER_MESSAGE_BYTES = 512;
/** HTTP/2 window: bytes that may still arrive on a paused stream. */
const WINDOW_BYTES = 65_535;
/** Small frames that may arrive on a paused stream: a window of messages of 16 bytes. A client that sends more of them attacks. */
const MOST_FRAMES = 4_096;
/** How long a client may keep sending after its response, in milliseconds. */
export const LINGER_MS = 1_000;

/** Bytes of a message in the body budget. */
export const costOf = (bytes: number): number => bytes + PREFIX_BYTES + PER_MESSAGE_BYTES;

/** Internals of a grpc-js call: its stream, its decoder of prefixed messages, and the handler of stream data. */
interface Internals {
  readonly stream: ServerHttp2Stream;
  readonly decoder: { write: (framed: Buffer) => Buffer[] };
  handleDataFrame: (piece: Buffer) => void;
}

export interface GrpcBodyOptions {
  /** Longest message of the method, in bytes. */
  readonly most: number;
  /** Whether the call may have any number of messages. */
  readonly stream: boolean;
  /**
   * Timeout for receiving a message once it has begun, in milliseconds; for a call with one message, for the whole
   * request.
   */
  readonly receiveMs: number;
  /** How long the client may read nothing of what is ready for it, in milliseconds. Absent: a minute. */
  readonly stalledMs?: number | undefined;
  /** Ends the call with the error’s status. */
  readonly refuse: (error: unknown) => void;
}

/**
 * Receives the messages of a call in front of grpc-js, which would buffer a message of any announced length, expose
 * nothing of it before it is complete, and copy it in one go. Each piece is counted and kept here, and complete
 * messages are passed on. When the call ends, everything is released.
 */
export class GrpcBody {
  readonly #stream: ServerHttp2Stream;
  readonly #options: GrpcBodyOptions;
  readonly #deliver: (framed: Buffer) => void;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #inPrefix = 0;
  /** The message being received, including its prefix. */
  #message: Filling | undefined;
  #held: HeldBody | undefined;
  #response: HeldResponse | undefined;
  #late: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #over = false;

  /** Throws if the internals of grpc-js have changed: without them the memory would be unbounded. */
  constructor(call: ServerInterceptingCallInterface, options: GrpcBodyOptions) {
    const inner = call as unknown as Partial<Internals>;
    const { stream, decoder, handleDataFrame } = inner;
    if (!stream || !decoder?.write || !handleDataFrame)
      throw new MillraceError(
        'INTERNAL',
        'this release of @grpc/grpc-js does not expose its streams, so their bytes cannot be counted',
      );
    this.#stream = stream;
    this.#options = options;
    joinSmallPieces(stream, { most: MOST_FRAMES, above: () => stream.close(constants.NGHTTP2_CANCEL) });
    // The decoder gets complete messages. The stream is paused until the call is admitted.
    decoder.write = (framed) => [framed];
    this.#deliver = (framed) => handleDataFrame.call(inner, framed);
    inner.handleDataFrame = (piece) => this.#came(piece);
    stream.once('finish', () => {
      this.#linger = setTimeout(() => stream.close(constants.NGHTTP2_NO_ERROR), LINGER_MS);
    });
    stream.once('close', () => {
      this.drop();
      clearTimeout(this.#linger);
      this.#held?.release();
      this.#response?.release();
    });
    stream.setTimeout(options.stalledMs ?? STALLED_MS, () => {
      // Otherwise it is the run, or the next request, that is waited for.
      if (stream.writableLength > 0) stream.close(constants.NGHTTP2_CANCEL);
    });
  }

  /**
   * Starts receiving messages, of a caller that is now known. Throws the errors of `HeldBody.take`.
   * @param response the call's response, which is released with the call
   */
  open(held: HeldBody, response: HeldResponse): void {
    this.#held = held;
    this.#response = response;
    readPacer.seen(held.tenant);
    joinFor(held.tenant, this.#stream);
    if (this.#stream.closed) {
      held.release();
      response.release();
    } else if (this.#options.stream) held.take(WINDOW_BYTES);
    else this.#await();
  }

  /** Discards the rest of the body. */
  drop(): void {
    this.#over = true;
    this.#message = undefined;
    clearTimeout(this.#late);
  }

  /** The request is complete. */
  arrived(): void {
    clearTimeout(this.#late);
  }

  /** Ends the call and its stream with an error. */
  refuse(error: unknown): void {
    if (this.#over) return;
    this.drop();
    const stream = this.#stream;
    // After the status; a client that stops reading does not receive it.
    stream.once('finish', () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)));
    this.#linger = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), LINGER_MS);
    this.#options.refuse(error);
  }

  /** Counts a piece, and passes on the messages that are complete. */
  #came(piece: Buffer): void {
    try {
      for (let at = 0; at < piece.length && !this.#over; ) {
        at = this.#count(piece, at);
        if (this.#message?.left !== 0) continue;
        const framed = this.#message.whole();
        this.#message = undefined;
        this.#deliver(framed);
      }
    } catch (error) {
      this.refuse(error);
    }
  }

  /**
   * Counts and keeps the part of a piece that belongs to one prefix or message. Returns the offset after it. Throws the
   * errors of `HeldBody.take`.
   */
  #count(piece: Buffer, at: number): number {
    const held = this.#held;
    if (held === undefined)
      throw new MillraceError('INTERNAL', 'a message arrived before its caller was authenticated');
    const message = this.#message;
    if (message) {
      const taken = Math.min(message.left, piece.length - at);
      held.take(taken);
      message.push(piece.subarray(at, at + taken));
      // Complete, it is for grpc-js to pause and resume the stream.
      if (message.left > 0) readPacer.came(this.#stream, taken, { tenant: held.tenant, size: message.size });
      else if (this.#options.stream) clearTimeout(this.#late);
      return at + taken;
    }
    const taken = Math.min(PREFIX_BYTES - this.#inPrefix, piece.length - at);
    piece.copy(this.#prefix, this.#inPrefix, at, at + taken);
    this.#inPrefix += taken;
    if (this.#inPrefix === PREFIX_BYTES) this.#begin(held);
    return at + taken;
  }

  #begin(held: HeldBody): void {
    this.#inPrefix = 0;
    const length = this.#prefix.readUInt32BE(1);
    if (this.#prefix[0] !== 0) throw compressed();
    if (length > this.#options.most) throw tooLong(length, this.#options.most);
    held.expect(length + PREFIX_BYTES + PER_MESSAGE_BYTES);
    held.take(PREFIX_BYTES + PER_MESSAGE_BYTES);
    this.#message = new Filling(PREFIX_BYTES + length);
    this.#message.push(this.#prefix);
    if (this.#options.stream && length > 0) this.#await();
  }

  /**
   * Starts the timeout of a message, so that a slow client cannot hold memory for ever. It is suspended while the
   * stream is paused.
   */
  #await(): void {
    clearTimeout(this.#late);
    const { receiveMs, stream } = this.#options;
    const late = () => {
      if (stream && this.#stream.isPaused()) this.#await();
      else this.refuse(tooSlow(receiveMs));
    };
    this.#late = setTimeout(late, receiveMs);
  }
}

const tooSlow = (ms: number) =>
  new MillraceError('REQUEST_TIMEOUT', `the message was not received within ${ms / 1_000} s`);

function tooLong(bytes: number, most: number): MillraceError {
  const message = `the message has ${bytes} bytes; the limit is ${most}`;
  return new MillraceError('BODY_TOO_LARGE', message, { fields: [{ field: 'message', message }] });
}

function compressed(): MillraceError {
  const message = 'compressed messages are not supported; send them uncompressed';
  return new MillraceError('UNSUPPORTED_CONTENT_TYPE', message, { fields: [{ field: 'grpc-encoding', message }] });
}
