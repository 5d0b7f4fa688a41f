/** A PNG of shades of gray: https://www.w3.org/TR/png-3/ */

export interface GrayFormat {
  readonly width: number;
  readonly height: number;
  /** Bits of a pixel. */
  readonly depth: 1 | 8;
}

/** Bytes of the rows before they are deflated: each begins with a byte of 0, no filter, and ends with a whole byte. */
export const pngRowBytes = ({ width, depth }: GrayFormat): number => 1 + Math.ceil((width * depth) / 8);

/** The file of deflated rows (zlib's format). */
export function grayPng({ width, height, depth }: GrayFormat, deflated: Buffer): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = depth;
  return Buffer.concat([
    Buffer.from('89504e470d0a1a0a', 'hex'),
    chunk('IHDR', header),
    chunk('IDAT', deflated),
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
