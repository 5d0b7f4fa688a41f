import { runOf, stageOf } from './run-mark.js';

/** An identified call: its number on the connection, and its run if it has a mark. */
export interface Call {
  readonly id: number;
  readonly run?: number | undefined;
  readonly stage?: string | undefined;
}

/** Assigns the bytes of one connection to calls. The bytes themselves pass unchanged. */
export interface Traffic {
  /** Bytes from the client; returns the calls that they identify. */
  request(chunk: Buffer): readonly Call[];
  /** Bytes from the server; returns the numbers of the calls that they answer. */
  answer(chunk: Buffer): readonly number[];
  /** Identified calls that have not ended. */
  readonly open: number;
}

/** HTTP/1.1 without pipelining: one call at a time, identified when its body is complete. */
export class Http1Traffic implements Traffic {
  #bytes = Buffer.alloc(0);
  #calls = 0;

  get open(): number {
    return this.#calls > 0 ? 1 : 0;
  }

  request(chunk: Buffer): readonly Call[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const end = this.#bytes.indexOf('\r\n\r\n');
    if (end < 0) return [];
    const head = this.#bytes.toString('latin1', 0, end);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    const whole = end + 4 + length;
    if (this.#bytes.length < whole) return [];
    const run = runOf(this.#bytes.subarray(end, whole));
    this.#bytes = this.#bytes.subarray(whole);
    this.#calls += 1;
    return [{ id: this.#calls, ...(run !== undefined && { run, stage: 'answer' }) }];
  }

  answer(): readonly number[] {
    return [this.#calls];
  }
}

/** "PRI * HTTP/2.0" and so on: the client's preface before its first frame. */
const PREFACE_BYTES = 24;
const FRAME_HEADER_BYTES = 9;
const FRAME = { data: 0, headers: 1, reset: 3 } as const;
const END_STREAM = 0x1;
/** A mark follows the names of model and tensors, which take some hundred bytes. */
const LOOKED_AT = 4 * 1024;

/** HTTP/2, used by gRPC: calls are streams, identified when their mark has arrived or their request is complete. */
export class Http2Traffic implements Traffic {
  readonly #client = new Frames(PREFACE_BYTES);
  readonly #server = new Frames(0);
  /** Beginnings of unidentified requests, by stream. */
  readonly #begun = new Map<number, Buffer>();
  readonly #open = new Set<number>();

  get open(): number {
    return this.#open.size;
  }

  request(chunk: Buffer): readonly Call[] {
    const known: Call[] = [];
    for (const { type, flags, stream, payload } of this.#client.push(chunk)) {
      if (type === FRAME.headers) this.#begun.set(stream, Buffer.alloc(0));
      if (type === FRAME.reset) this.#end(stream);
      const before = this.#begun.get(stream);
      if (type !== FRAME.data || before === undefined) continue;
      const bytes = Buffer.concat([before, payload]).subarray(0, LOOKED_AT);
      const run = runOf(bytes);
      if (run === undefined && bytes.length < LOOKED_AT && (flags & END_STREAM) === 0) this.#begun.set(stream, bytes);
      else {
        this.#begun.delete(stream);
        this.#open.add(stream);
        known.push({ id: stream, ...(run !== undefined && { run, stage: stageOf(bytes) }) });
      }
    }
    return known;
  }

  answer(chunk: Buffer): readonly number[] {
    const answered: number[] = [];
    for (const { type, flags, stream } of this.#server.push(chunk)) {
      if (this.#open.has(stream)) answered.push(stream);
      const last =
        type === FRAME.reset || ((flags & END_STREAM) !== 0 && (type === FRAME.data || type === FRAME.headers));
      if (last) this.#end(stream);
    }
    return answered;
  }

  #end(stream: number): void {
    this.#begun.delete(stream);
    this.#open.delete(stream);
  }
}

interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
}

/** Splits one direction of an HTTP/2 connection into its frames. */
class Frames {
  #bytes = Buffer.alloc(0);
  #skip: number;

  constructor(skip: number) {
    this.#skip = skip;
  }

  push(chunk: Buffer): Frame[] {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const skipped = Math.min(this.#skip, this.#bytes.length);
    this.#skip -= skipped;
    let at = skipped;
    const frames: Frame[] = [];
    while (this.#bytes.length - at >= FRAME_HEADER_BYTES) {
      const end = at + FRAME_HEADER_BYTES + this.#bytes.readUIntBE(at, 3);
      if (this.#bytes.length < end) break;
      frames.push({
        type: this.#bytes.readUInt8(at + 3),
        flags: this.#bytes.readUInt8(at + 4),
        stream: this.#bytes.readUInt32BE(at + 5) & 0x7fffffff,
        payload: this.#bytes.subarray(at + FRAME_HEADER_BYTES, end),
      });
      at = end;
    }
    this.#bytes = this.#bytes.subarray(at);
    return frames;
  }
}
