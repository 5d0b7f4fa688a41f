import { deflateSync } from 'node:zlib';
import { writeWav } from '../../../media/index.js';
import { DEFAULT_RATE } from './audio-source.js';
import type { BoundInput, BoundMap } from './bind.js';
import type { Sources } from './encode.js';

/** Side of an example image where the model leaves it open, in pixels. */
const SIDE = 64;
const GRAY = 128;

/** What the smallest request of a map carries: the kind's example, a gray image, a tenth of a second of silence. */
export function exampleOf({ inputs }: BoundMap, example: Sources): Sources {
  const [image, audio] = ['image', 'audio'].map((from) => inputs.find((input) => input.from === from));
  const { sampleRate = DEFAULT_RATE } = audio ?? {};
  const silence = new Float32Array(Math.ceil(sampleRate / 10));
  const wav = () => Buffer.concat([...writeWav(new Int16Array(silence.length), { sampleRate })]);
  return {
    ...example,
    ...(image && { image: image.encoding === 'file' ? grayPng(SIDE) : grayPixels(image) }),
    ...(audio && { audio: audio.encoding === 'file' ? wav() : silence, length: silence.length }),
    input: example,
  };
}

function grayPixels({ width = SIDE, height = SIDE, colors }: BoundInput) {
  const channels = colors === 'gray' ? 1 : 3;
  const data = Buffer.alloc(width * height * channels, GRAY);
  const placed = { left: 0, top: 0, across: 1, down: 1 };
  return { data, width, height, channels, source: { width, height }, placed };
}

/** A PNG of one gray, 8 bits a pixel: https://www.w3.org/TR/png-3/ */
function grayPng(side: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(side, 0);
  header.writeUInt32BE(side, 4);
  header[8] = 8;
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(side, GRAY)]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: side }, () => row)));
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', rows),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

/** CRC-32 (ISO 3309), bit by bit; `zlib.crc32` came with Node 20.15 and 22.2. */
function crc32(bytes: Buffer): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  }
  return (crc ^ 0xffffffff) >>> 0;
}
