import { describeBytes, SNIFF_BYTES } from './sniff.js';
import { FMT_BYTES, invalidMedia, parseFmt, type WavFormat } from './wav-format.js';

const RIFF_HEADER_BYTES = 12;
const CHUNK_HEADER_BYTES = 8;
/** Most chunks before the samples; real files have a handful. An empty one takes eight bytes, and as long to be read as 64 KiB of samples. */
const MOST_CHUNKS = 1_000;

/**
 * A `data` size at or above this is a placeholder: programs that write to a pipe cannot seek back to fill it in. ffmpeg
 * writes 0xFFFFFFFF, arecord 0x7FFFFFFF and sox 0x7FFFF000; others write 0.
 */
const PLACEHOLDER_SIZE = 0x7ffff000;

type Part =
  | { readonly is: 'riff' }
  | { readonly is: 'chunk' }
  | { readonly is: 'fmt'; readonly size: number }
  | { readonly is: 'skip'; left: number; readonly id: string }
  | { readonly is: 'data'; left: number }
  | { readonly is: 'rest' };
/** Parts that are buffered completely before they are parsed. */
type Header = Extract<Part, { is: 'riff' | 'chunk' | 'fmt' }>;

/**
 * Reads a RIFF/WAVE file from chunks of any size, in bounded memory: it buffers at most one header, and yields the
 * sample bytes as views of the chunks. Throws `INVALID_MEDIA` as soon as the bytes cannot be a supported WAV file.
 *
 * More tolerant than the specification: chunks in any order if `fmt ` precedes `data`, a wrong RIFF size, unknown
 * `data` sizes (see `PLACEHOLDER_SIZE`), a missing pad byte at the end, a partial last frame (dropped).
 */
export class WavReader {
  #part: Part = { is: 'riff' };
  /** The bytes of an incomplete header. */
  #held: Uint8Array = new Uint8Array();
  #format: WavFormat | undefined;
  #riffSize = 0;
  #chunks = 0;
  #position = 0;
  /** Sample bytes that the header declares; undefined if it has a placeholder. */
  #declared: number | undefined;
  #received = 0;
  #sawData = false;

  /** The format; undefined before its chunk has been read. */
  get format(): WavFormat | undefined {
    return this.#format;
  }

  /** Takes the next bytes and yields those that are samples. */
  *push(chunk: Uint8Array): Generator<Uint8Array, void> {
    let rest = chunk;
    while (rest.length > 0) {
      const part = this.#part;
      if (part.is === 'rest') return;
      if (part.is === 'data') {
        const samples = rest.subarray(0, part.left);
        part.left -= samples.length;
        this.#received += samples.length;
        rest = this.#advance(rest, samples.length);
        if (part.left === 0) this.#part = { is: 'rest' };
        yield samples;
      } else if (part.is === 'skip') {
        const skipped = Math.min(part.left, rest.length);
        part.left -= skipped;
        rest = this.#advance(rest, skipped);
        if (part.left === 0) this.#part = { is: 'chunk' };
      } else {
        rest = this.#gather(part, rest);
      }
    }
  }

  /** Ends the input; returns the format and the number of whole frames. Throws `INVALID_MEDIA`. */
  end(): { readonly format: WavFormat; readonly frames: number } {
    const format = this.#format;
    if (format === undefined || !this.#sawData) throw this.#endedEarly();
    const frames = Math.floor(this.#received / format.frameBytes);
    if (this.#declared !== undefined && this.#received < this.#declared) {
      throw invalidMedia(
        `the WAV file is truncated: its header declares ${this.#declared} bytes of audio, ${this.#received} arrived`,
      );
    }
    if (frames === 0) throw invalidMedia('the WAV file holds no audio: its length is zero');
    return { format, frames };
  }

  #advance(bytes: Uint8Array, by: number): Uint8Array {
    this.#position += by;
    return bytes.subarray(by);
  }

  /** Buffers a header, which may be split over chunks, and parses it when it is complete. */
  #gather(part: Header, bytes: Uint8Array): Uint8Array {
    const wanted = neededFor(part) - this.#held.length;
    const taken = bytes.subarray(0, wanted);
    this.#held = this.#held.length === 0 ? taken.slice() : Buffer.concat([this.#held, taken]);
    const rest = this.#advance(bytes, taken.length);
    if (part.is === 'riff') refuseEarly(this.#held);
    if (taken.length < wanted) return rest;
    const header = this.#held;
    this.#held = new Uint8Array();
    if (part.is === 'riff') this.#onRiff(header);
    else if (part.is === 'chunk') this.#onChunk(header);
    else this.#onFmt(part.size, header);
    return rest;
  }

  #onRiff(header: Uint8Array): void {
    const id = tagAt(header, 0);
    if (id === 'RF64' || id === 'BW64') {
      throw invalidMedia(`the file is ${id} (64-bit WAV), which is not supported; send a plain RIFF WAV below 4 GiB`);
    }
    if (id === 'RIFX') throw invalidMedia('the file is a big-endian WAV (RIFX), which is not supported');
    if (id !== 'RIFF' || tagAt(header, 8) !== 'WAVE') throw notWav(header);
    this.#riffSize = sizeAt(header, 4);
    this.#part = { is: 'chunk' };
  }

  #onChunk(header: Uint8Array): void {
    if (++this.#chunks > MOST_CHUNKS)
      throw invalidMedia(`the WAV file has more than ${MOST_CHUNKS} chunks before its samples`);
    const id = tagAt(header, 0);
    const size = sizeAt(header, 4);
    if (id === 'data') this.#onData(size);
    else if (id === 'fmt ' && this.#format === undefined) {
      if (size < FMT_BYTES.least) throw invalidMedia(`the WAV format chunk is ${size} bytes, less than 16`);
      this.#part = { is: 'fmt', size };
    } else this.#skip(id, padded(size));
  }

  #onFmt(size: number, body: Uint8Array): void {
    this.#format = parseFmt(body);
    this.#skip('fmt ', padded(size) - body.length);
  }

  #onData(size: number): void {
    if (this.#format === undefined) throw invalidMedia('the WAV file has samples before their format ("fmt " chunk)');
    this.#sawData = true;
    // Zero is a placeholder too, unless the RIFF size shows that chunks follow an empty one.
    const riffEnd = this.#riffSize + CHUNK_HEADER_BYTES;
    const reallyEmpty = size === 0 && riffEnd > this.#position && this.#riffSize < PLACEHOLDER_SIZE;
    if (reallyEmpty) this.#part = { is: 'rest' };
    else if (size === 0 || size >= PLACEHOLDER_SIZE) this.#part = { is: 'data', left: Number.POSITIVE_INFINITY };
    else {
      this.#declared = size;
      this.#part = { is: 'data', left: size };
    }
  }

  #skip(id: string, left: number): void {
    this.#part = left === 0 ? { is: 'chunk' } : { is: 'skip', left, id };
  }

  #endedEarly(): Error {
    const part = this.#part;
    if (part.is === 'riff') {
      const couldBe = this.#held.length > 0 && 'RIFF'.startsWith(tagAt(this.#held, 0));
      if (!couldBe) return notWav(this.#held);
      return invalidMedia(`the WAV file is truncated: it ends after ${this.#position} bytes, inside its first header`);
    }
    const chunk = part.is === 'skip' ? `chunk "${printable(part.id)}"` : 'header';
    const inside = part.is === 'skip' || this.#held.length > 0 ? `inside its ${chunk}` : 'before its samples';
    return invalidMedia(`the WAV file is truncated: it ends after ${this.#position} bytes, ${inside}`);
  }
}

function neededFor(part: Header): number {
  if (part.is === 'fmt') return Math.min(part.size, FMT_BYTES.most);
  return part.is === 'riff' ? RIFF_HEADER_BYTES : CHUNK_HEADER_BYTES;
}

/** Rejects other files as soon as `SNIFF_BYTES` can name their format. */
function refuseEarly(head: Uint8Array): void {
  if (head.length >= SNIFF_BYTES && !/^(RIF[FX]|RF64|BW64)/.test(tagAt(head, 0))) throw notWav(head);
}

const notWav = (head: Uint8Array) => invalidMedia(`the file is not WAV audio: it ${describeBytes(head)}`);
const tagAt = (bytes: Uint8Array, at: number) => Buffer.from(bytes.subarray(at, at + 4)).toString('latin1');
const sizeAt = (bytes: Uint8Array, at: number) => Buffer.from(bytes.subarray(at, at + 4)).readUInt32LE();
const printable = (text: string) => text.replace(/[^\x20-\x7e]/g, '?');
/** Chunks start at even offsets; an odd one is followed by a pad byte that its size does not count. */
const padded = (size: number) => size + (size % 2);
