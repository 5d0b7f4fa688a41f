import { crc32 } from 'node:zlib';
import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type JsonObject } from '../../../pipelines/json.js';
import { shortened } from '../http-fault.js';
import { parseJson } from '../json-values.js';

/*
 * Frames of application/vnd.amazon.eventstream: https://smithy.io/2.0/aws/amazon-eventstream.html. A prelude of the
 * frame's length, the headers' length and a CRC-32 of both; headers; payload; a CRC-32 of all before it. Big endian.
 */

const PRELUDE = 12;
const TRAILER = 4;
/** Of a frame, in bytes: the format's own limits are 24 MiB of payload and 128 KiB of headers. */
const LONGEST = 24 * 1_024 * 1_024 + 128 * 1_024 + PRELUDE + TRAILER;
const MOST_HEADERS = 128 * 1_024;

/** Lengths of header values by their type; 6 and 7 have their own length before them. */
const FIXED: Readonly<Record<number, number>> = { 0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16 };
const BYTES = 6;
const TEXT = 7;

/** Codes of exceptions in a stream, by what SageMaker calls their error codes. */
const CODES: Readonly<Record<string, ErrorCode>> = {
  ModelInvocationTimeExceeded: 'BACKEND_TIMEOUT',
  StreamBroken: 'BACKEND_UNAVAILABLE',
};

/**
 * The payloads of a stream's events as they arrive. Throws the error of an exception in the stream, `INVALID_OUTPUT` for
 * frames that are too long or damaged, and `BACKEND_UNAVAILABLE` for a stream that ends within a frame.
 */
export async function* payloadsOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let held: Uint8Array[] = [];
  let length = 0;
  let wanted = PRELUDE;
  for await (const chunk of chunks) {
    held.push(chunk);
    length += chunk.byteLength;
    // Joined only when a frame is complete: a long one in many chunks would be copied with each.
    while (length >= wanted) {
      const bytes = joined(held, length);
      const total = frameLength(bytes);
      wanted = Math.max(total, PRELUDE);
      held = [bytes];
      if (length < total) break;
      const payload = payloadOf(bytes.subarray(0, total));
      if (payload.byteLength > 0) yield payload;
      held = [bytes.subarray(total)];
      length -= total;
      wanted = PRELUDE;
    }
  }
  if (length > 0) throw new MillraceError('BACKEND_UNAVAILABLE', 'the stream broke off within a frame');
}

/** One part is not copied: it may have many frames. */
function joined(parts: readonly Uint8Array[], length: number): Buffer {
  const [only, ...more] = parts;
  if (!only || more.length > 0) return Buffer.concat(parts, length);
  return Buffer.from(only.buffer, only.byteOffset, only.byteLength);
}

/** Checked before anything is kept for it. */
function frameLength(bytes: Buffer): number {
  const total = bytes.readUInt32BE(0);
  const headers = bytes.readUInt32BE(4);
  if (crc32(bytes.subarray(0, 8)) !== bytes.readUInt32BE(8)) throw damaged('the checksum of its lengths is wrong');
  if (total > LONGEST || headers > MOST_HEADERS) throw damaged(`it has ${total} bytes, ${headers} of headers`);
  if (total < PRELUDE + headers + TRAILER) throw damaged('its lengths do not fit each other');
  return total;
}

function payloadOf(frame: Buffer): Uint8Array {
  const end = frame.length - TRAILER;
  if (crc32(frame.subarray(0, end)) !== frame.readUInt32BE(end)) throw damaged('its checksum is wrong');
  const at = PRELUDE + frame.readUInt32BE(4);
  const headers = headersIn(frame.subarray(PRELUDE, at));
  const payload = frame.subarray(at, end);
  const kind = headers.get(':message-type') ?? 'event';
  if (kind === 'event') return payload;
  throw failure(headers, payload);
}

function headersIn(bytes: Buffer): Map<string, string> {
  const found = new Map<string, string>();
  try {
    for (let at = 0; at < bytes.length; ) {
      const name = bytes.toString('utf8', at + 1, at + 1 + bytes.readUInt8(at));
      at += 1 + bytes.readUInt8(at);
      const type = bytes.readUInt8(at++);
      const counted = type === BYTES || type === TEXT;
      const size = counted ? bytes.readUInt16BE(at) : FIXED[type];
      if (size === undefined) throw damaged(`a header has the unknown type ${type}`);
      const from = counted ? at + 2 : at;
      if (from + size > bytes.length) throw damaged('a header is cut off');
      if (type === TEXT) found.set(name, bytes.toString('utf8', from, from + size));
      at = from + size;
    }
  } catch (error) {
    // Reading beyond the end.
    if (error instanceof RangeError) throw damaged('a header is cut off');
    throw error;
  }
  return found;
}

function failure(headers: ReadonlyMap<string, string>, payload: Buffer): MillraceError {
  const type = headers.get(':exception-type') ?? headers.get(':error-code') ?? 'an error';
  const text = payload.toString('utf8');
  const { Message, message, ErrorCode: code } = objectIn(text);
  const said = String(Message ?? message ?? headers.get(':error-message') ?? text);
  const about = [type, ...(typeof code === 'string' ? [code] : [])].join(', ');
  return new MillraceError(
    (typeof code === 'string' && CODES[code]) || 'BACKEND_ERROR',
    `the stream has ended with ${about}: ${shortened(said)}`,
  );
}

function objectIn(text: string): JsonObject {
  try {
    const body = parseJson(text, damaged);
    return isJsonObject(body) ? body : {};
  } catch {
    return {};
  }
}

const damaged = (problem: string): MillraceError =>
  new MillraceError('INVALID_OUTPUT', `a frame of the stream is damaged: ${problem}`);
