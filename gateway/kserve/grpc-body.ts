import { constants, type ServerHttp2Stream } from 'node:http2';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { MillraceError } from '../../pipelines/errors.js';
import type { HeldBody } from '../input/body-budget.js';
import { Filling } from '../input/filling.js';

/** A message in front of its bytes: whether it is compressed, and its length in four bytes. */
const PREFIX_BYTES = 5;
/** What a message costs beside its bytes, in bytes: a message of none has its place in queues. */
const PER_MESSAGE_BYTES = 256;
/** A stream that is read no further may still be sent what its window holds, in bytes. */
const WINDOW_BYTES = 65_535;
/** How long a client that has been answered may go on sending, in milliseconds. */
const LINGER_MS = 1_000;

/** What a message counts in the budget of bodies. */
export const costOf = (bytes: number): number => bytes + PREFIX_BYTES + PER_MESSAGE_BYTES;

/** Of a call of grpc-js: its stream, what cuts it into messages with their prefixes, and what is told of it. */
interface Internals {
  readonly stream: ServerHttp2Stream;
  readonly decoder: { write: (framed: Buffer) => Buffer[] };
  handleDataFrame: (piece: Buffer) => void;
}

export interface GrpcBodyOptions {
  /** Longest message of the method, in bytes. */
  readonly most: number;
  /** Whether any number of messages may come. */
  readonly stream: boolean;
  /** Longest time in which a message that has begun arrives; of a call with one message, that and the end of the request. */
  readonly receiveMs: number;
  /** Ends the call with an error’s status. */
  readonly refuse: (error: unknown) => void;
}

/**
 * What arrives of a call’s messages, before grpc-js gets it: grpc-js gathers a message of any announced length, shows nothing of it
 * before it is whole, and copies it in one go. Each piece is counted and kept here, and messages are handed on whole; or the call
 * ends, and nothing of it is kept then.
 */
export class GrpcBody {
  readonly #stream: ServerHttp2Stream;
  readonly #options: GrpcBodyOptions;
  readonly #deliver: (framed: Buffer) => void;
  readonly #prefix = Buffer.alloc(PREFIX_BYTES);
  #inPrefix = 0;
  /** The message that is coming, its prefix first. */
  #message: Filling | undefined;
  #held: HeldBody | undefined;
  #late: NodeJS.Timeout | undefined;
  #linger: NodeJS.Timeout | undefined;
  #over = false;

  /** Throws where grpc-js is not the one that this was written for: without it nothing would be bounded. */
  constructor(call: ServerInterceptingCallInterface, options: GrpcBodyOptions) {
    const inner = call as unknown as Partial<Internals>;
    const { stream, decoder, handleDataFrame } = inner;
    if (!stream || !decoder?.write || !handleDataFrame)
      throw new MillraceError('INTERNAL', 'this release of @grpc/grpc-js does not let its streams be counted');
    this.#stream = stream;
    this.#options = options;
    // It gets messages that are whole. The stream is paused: nothing comes before the call has been admitted.
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
    });
  }

  /** From here on the call’s caller is known, and its messages may come. Throws what `HeldBody.take` throws. */
  open(held: HeldBody): void {
    this.#held = held;
    if (this.#stream.closed) held.release();
    else if (this.#options.stream) held.take(WINDOW_BYTES);
    else this.#await();
  }

  /** Nothing more of the body is wanted. */
  drop(): void {
    this.#over = true;
    this.#message = undefined;
    clearTimeout(this.#late);
  }

  /** All has arrived. */
  arrived(): void {
    clearTimeout(this.#late);
  }

  /** Ends the call, and its stream with it. */
  refuse(error: unknown): void {
    if (this.#over) return;
    this.drop();
    const stream = this.#stream;
    // Right behind the status; a client that takes no more gets none.
    stream.once('finish', () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)));
    this.#linger = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), LINGER_MS);
    this.#options.refuse(error);
  }

  /** Counts what has come, and hands on the messages that end in it. */
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

  /** Counts and keeps what of a piece belongs to one prefix or message. Gives where that ends. Throws what `HeldBody.take` throws. */
  #count(piece: Buffer, at: number): number {
    const held = this.#held;
    if (held === undefined) throw new MillraceError('INTERNAL', 'a message has come before its caller was known');
    if (this.#message) {
      const taken = Math.min(this.#message.left, piece.length - at);
      held.take(taken);
      this.#message.push(piece.subarray(at, at + taken));
      if (this.#message.left === 0 && this.#options.stream) clearTimeout(this.#late);
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
    this.#message.push(Buffer.from(this.#prefix));
    if (this.#options.stream && length > 0) this.#await();
  }

  /** A slow client must not hold what it has sent for ever. While nothing is read of the stream, its time stands still. */
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
  const message = 'compressed messages are not supported; send them as they are';
  return new MillraceError('UNSUPPORTED_CONTENT_TYPE', message, { fields: [{ field: 'grpc-encoding', message }] });
}
