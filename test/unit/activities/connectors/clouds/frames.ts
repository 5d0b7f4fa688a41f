import { crc32 } from 'node:zlib';

/** A frame of AWS' event streams with headers of text. */
export function frame(headers: Readonly<Record<string, string>>, payload: string | Uint8Array): Buffer {
  const written = Buffer.concat(
    Object.entries(headers).map(([name, value]) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(Buffer.byteLength(value));
      return Buffer.concat([
        Buffer.from([name.length]),
        Buffer.from(name),
        Buffer.from([7]),
        length,
        Buffer.from(value),
      ]);
    }),
  );
  const body = Buffer.from(payload);
  const prelude = Buffer.alloc(8);
  prelude.writeUInt32BE(16 + written.length + body.length, 0);
  prelude.writeUInt32BE(written.length, 4);
  const start = Buffer.concat([prelude, checksum(prelude), written, body]);
  return Buffer.concat([start, checksum(start)]);
}

export const part = (payload: string): Buffer =>
  frame(
    { ':event-type': 'PayloadPart', ':content-type': 'application/octet-stream', ':message-type': 'event' },
    payload,
  );

export const exception = (type: string, body: object): Buffer =>
  frame({ ':exception-type': type, ':message-type': 'exception' }, JSON.stringify(body));

function checksum(bytes: Buffer): Buffer {
  const made = Buffer.alloc(4);
  made.writeUInt32BE(crc32(bytes));
  return made;
}
