import { MillraceError } from '../../pipelines/errors.js';

/*
 * Checks the bytes of a ModelInferRequest before decoding. The decoder creates an object for every repeated element and
 * a string for every text, so a message of empty elements would expand a hundredfold. The scan counts them without
 * creating any. Field numbers are those of `protocol.ts`.
 */

/**
 * Most parts of a message, each of which becomes an object or a string or is skipped: tensors, parameters, outputs,
 * elements of BYTES and of 64 bits.
 */
export const MOST_PARTS = 100_000;
/** Most typed numbers of a message: a minute of samples at 16 kHz. More must be sent as `raw_input_contents`. */
const MOST_NUMBERS = 1024 * 1024;
/** Longest name, identifier or text parameter, in bytes: it may be quoted in an error message. */
const LONGEST_TEXT = 65_536;

/** Content of a length-delimited field. */
type Field =
  | 'text'
  /** A part whose content is not checked. */
  | 'part'
  /** Packed numbers of 4, 8 or a variable number of bytes (`varint`); a single one if not length-delimited. */
  | { readonly packed: 'varint' | 4 | 8; readonly as: 'parts' | 'numbers' }
  /** A message. */
  | { readonly fields: Fields };
type Fields = Readonly<Record<number, Field>>;

const INTEGERS = { packed: 'varint', as: 'parts' } as const;
const PARAMETERS: Field = { fields: { 1: 'text', 2: { fields: { 3: 'text' } } } };
const CONTENTS: Fields = {
  1: { packed: 'varint', as: 'numbers' },
  2: { packed: 'varint', as: 'numbers' },
  3: INTEGERS,
  4: { packed: 'varint', as: 'numbers' },
  5: INTEGERS,
  6: { packed: 4, as: 'numbers' },
  7: { packed: 8, as: 'numbers' },
  8: 'part',
};
const REQUEST: Fields = {
  1: 'text',
  2: 'text',
  3: 'text',
  4: PARAMETERS,
  5: { fields: { 1: 'text', 2: 'text', 3: INTEGERS, 4: PARAMETERS, 5: { fields: CONTENTS } } },
  6: { fields: { 1: 'text', 2: PARAMETERS } },
  7: 'part',
};

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** Throws `INVALID_INPUT` at the first limit that a ModelInferRequest exceeds. */
export function expectModestRequest(bytes: Uint8Array): void {
  new Scan(bytes).message(0, bytes.length, REQUEST);
}

class Scan {
  #parts = 0;
  #numbers = 0;
  #at = 0;

  constructor(readonly bytes: Uint8Array) {}

  /** Nesting is at most five deep, as in `REQUEST`. */
  message(start: number, end: number, fields: Fields): void {
    this.#at = start;
    while (this.#at < end) {
      const tag = this.#varint(end);
      const field = fields[Math.floor(tag / 8)];
      switch (tag % 8) {
        case VARINT:
          this.#varint(end);
          this.#single(field);
          break;
        case FIXED64:
          this.#skip(8, end);
          this.#single(field);
          break;
        case FIXED32:
          this.#skip(4, end);
          this.#single(field);
          break;
        case DELIMITED: {
          const length = this.#varint(end);
          const from = this.#at;
          this.#skip(length, end);
          this.#delimited(field, from, length);
          this.#at = from + length;
          break;
        }
        default:
          // Groups are not in proto3: a decoder would follow their nesting until the stack overflows.
          throw invalid('it is not a protobuf message of this protocol');
      }
    }
  }

  #single(field: Field | undefined): void {
    this.#count(typeof field === 'object' && 'packed' in field ? field.as : 'parts', 1);
  }

  #delimited(field: Field | undefined, from: number, length: number): void {
    const packed = typeof field === 'object' && 'packed' in field;
    if (!packed) this.#count('parts', 1);
    if (field === 'text') {
      if (length > LONGEST_TEXT) throw invalid(`a name or a text in it has ${length} bytes; at most ${LONGEST_TEXT}`);
    } else if (typeof field === 'object' && 'fields' in field) {
      this.message(from, from + length, field.fields);
    } else if (packed) {
      this.#count(
        field.as,
        field.packed === 'varint' ? this.#varints(from, length) : Math.floor(length / field.packed),
      );
    }
  }

  /** The number of varints: the last byte of each has its highest bit clear. Counting stops above all limits. */
  #varints(from: number, length: number): number {
    let ends = 0;
    for (let at = from; at < from + length && ends <= MOST_NUMBERS; at++)
      if ((this.bytes[at] as number) < 0x80) ends += 1;
    return ends;
  }

  #count(what: 'parts' | 'numbers', more: number): void {
    if (what === 'parts') this.#parts += more;
    else this.#numbers += more;
    if (this.#parts > MOST_PARTS)
      throw invalid(`it has more than ${MOST_PARTS} tensors, parameters and elements of texts and 64-bit integers`);
    if (this.#numbers > MOST_NUMBERS)
      throw invalid(`it has more than ${MOST_NUMBERS} numbers in contents; send them in raw_input_contents`);
  }

  /** Sizes and tags have up to 32 bits; higher bits are ignored. */
  #varint(end: number): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#at >= end) throw invalid('it ends in the middle of a field');
      const byte = this.bytes[this.#at++] as number;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw invalid('a number in it has more than ten bytes');
  }

  #skip(length: number, end: number): void {
    if (length > end - this.#at) throw invalid('a field in it extends beyond its end');
    this.#at += length;
  }
}

function invalid(message: string): MillraceError {
  return new MillraceError('INVALID_INPUT', `the message: ${message}`, { fields: [{ field: 'message', message }] });
}
