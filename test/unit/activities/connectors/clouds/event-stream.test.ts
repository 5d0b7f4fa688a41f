import { describe, expect, it } from 'vitest';
import { payloadsOf } from '../../../../../activities/connectors/http/event-stream.js';
import { exception, frame, part } from './frames.js';

async function* cut(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Uint8Array, size = bytes.length): Promise<string> {
  const parts: Uint8Array[] = [];
  for await (const payload of payloadsOf(cut(bytes, size))) parts.push(payload);
  return Buffer.concat(parts).toString('utf8');
}

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex');

describe('frames of AWS’ event streams', () => {
  /* Messages of AWS' test suite of the format, as its clients have them. */
  it.each([
    ['no headers, no payload', '00000010 00000000 05c248eb 7d98c8ff', ''],
    ['a payload', '0000001d 00000000 fd528c5a 7b27666f6f273a27626172277d c3653936', "{'foo':'bar'}"],
    [
      'a header of text',
      '0000003d 00000020 07fd8396 0c636f6e74656e742d74797065070010 6170706c69636174696f6e2f6a736f6e 7b27666f6f273a27626172277d 8d9c08b1',
      "{'foo':'bar'}",
    ],
  ])('%s', async (_, message, payload) => {
    expect(await read(hex(message))).toBe(payload);
    expect(await read(hex(message), 1)).toBe(payload);
  });

  it('are read whatever the chunks are', async () => {
    const bytes = Buffer.concat([
      part('data: {"a"'),
      frame({}, ''),
      part(':"é'),
      part('"}\n\n'),
      part('x'.repeat(70_000)),
    ]);
    const whole = `data: {"a":"é"}\n\n${'x'.repeat(70_000)}`;
    for (const size of [1, 7, 100, 65_536, bytes.length]) expect(await read(bytes, size)).toBe(whole);
  });

  it('a damaged byte anywhere is noticed, and lengths are checked before anything is kept', async () => {
    const good = part('data: 1\n\n');
    for (let at = 0; at < good.length; at++) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 0x01;
      await expect(read(bad)).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    }
    // 1 GiB; the checksum of the lengths is right.
    await expect(read(hex('40000000 00000000 4cbf1d84'))).rejects.toMatchObject({
      code: 'INVALID_OUTPUT',
      message: expect.stringContaining('1073741824 bytes'),
    });
  });

  it('headers that end within themselves are refused', async () => {
    const whole = frame({ name: 'value' }, '');
    for (const raw of [
      [4, 0x61],
      [1, 0x61, 7, 0xff, 0xff],
      [1, 0x61, 11],
      [1, 0x61, 8, 0],
    ]) {
      const { crc32 } = await import('node:zlib');
      const start = Buffer.alloc(12 + raw.length);
      start.writeUInt32BE(16 + raw.length, 0);
      start.writeUInt32BE(raw.length, 4);
      start.writeUInt32BE(crc32(start.subarray(0, 8)), 8);
      Buffer.from(raw).copy(start, 12);
      const end = Buffer.alloc(4);
      end.writeUInt32BE(crc32(start));
      await expect(read(Buffer.concat([start, end, whole]))).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    }
  });

  it('a stream that ends within a frame has broken off', async () => {
    const bytes = Buffer.concat([part('data: 1\n\n'), part('data: 2\n\n')]);
    for (const kept of [bytes.length - 1, part('data: 1\n\n').length + 5])
      await expect(read(bytes.subarray(0, kept))).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
  });

  it.each([
    ['ModelStreamError', { ErrorCode: 'ModelInvocationTimeExceeded', Message: 'too slow' }, 'BACKEND_TIMEOUT'],
    ['ModelStreamError', { ErrorCode: 'StreamBroken', Message: 'reset' }, 'BACKEND_UNAVAILABLE'],
    ['InternalStreamFailure', { Message: 'unknown' }, 'BACKEND_ERROR'],
  ])('the exception %s %j is %s', async (type, body, code) => {
    const error = await read(Buffer.concat([part('data: 1\n\n'), exception(type, body)])).catch((thrown) => thrown);
    expect(error).toMatchObject({ code, message: expect.stringContaining(body.Message) });
    expect(error.message).toContain(type);
  });
});
