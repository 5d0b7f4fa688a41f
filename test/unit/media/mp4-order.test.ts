import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { shiftedIndex } from '../../../media/mp4-offsets.js';
import { indexFirst } from '../../../media/mp4-order.js';
import { encoded } from '../../support/ffmpeg.js';
import { wavFile } from '../../support/wav-samples.js';

/** The file as `indexFirst` gives it, and how much of it was read. */
async function ordered(file: Buffer) {
  let read = 0;
  async function* range({ start, end }: { start: number; end: number }) {
    for (let at = start; at <= end; at += 1000) {
      const piece = file.subarray(at, Math.min(at + 1000, end + 1));
      read += piece.length;
      yield piece;
    }
  }
  const parts: Uint8Array[] = [];
  for await (const part of indexFirst(range, file.length)) parts.push(part);
  return { file: Buffer.concat(parts), read };
}

const box = (type: string, ...content: Buffer[]) => {
  const body = Buffer.concat(content);
  const header = Buffer.alloc(8);
  header.writeUInt32BE(body.length + 8);
  header.write(type, 4, 'latin1');
  return Buffer.concat([header, body]);
};
const offsets = (type: 'stco' | 'co64', ...values: number[]) => {
  const width = type === 'stco' ? 4 : 8;
  const table = Buffer.alloc(8 + values.length * width);
  table.writeUInt32BE(values.length, 4);
  for (const [i, value] of values.entries()) {
    if (width === 4) table.writeUInt32BE(value, 8 + i * 4);
    else table.writeBigUInt64BE(BigInt(value), 8 + i * 8);
  }
  return box(type, table);
};
/** A table of many offsets, all of them 0. */
const manyOffsets = (type: 'stco' | 'co64', count: number) => {
  const table = Buffer.alloc(8 + count * (type === 'stco' ? 4 : 8));
  table.writeUInt32BE(count, 4);
  return box(type, table);
};
const index = (...tables: Buffer[]) =>
  box(
    'moov',
    box('mvhd', Buffer.alloc(4)),
    ...tables.map((table) => box('trak', box('mdia', box('minf', box('stbl', table))))),
  );

const start = box('ftyp', Buffer.from('M4A \0\0\0\0'));
const media = box('mdat', Buffer.from('the sounds of one file'));

test('an index behind the media is moved before it, and every offset still finds its bytes', async () => {
  const at = start.length + 8;
  const file = Buffer.concat([
    start,
    media,
    index(offsets('stco', at, at + 4), offsets('co64', at + 11)),
    box('free', Buffer.alloc(9)),
  ]);
  const { file: moved } = await ordered(file);
  expect(moved.length).toBe(file.length);
  expect(moved.indexOf('moov')).toBeLessThan(moved.indexOf('mdat'));
  const small = moved.indexOf('stco') + 12;
  const large = moved.indexOf('co64') + 12;
  const found = [moved.readUInt32BE(small), moved.readUInt32BE(small + 4), Number(moved.readBigUInt64BE(large))];
  expect(found.map((offset) => moved.toString('latin1', offset, offset + 3))).toEqual(['the', 'sou', 'of ']);
});

test('an index that reaches to the end of the file has a size where something follows it', async () => {
  const toTheEnd = index(offsets('stco', start.length + 8));
  toTheEnd.writeUInt32BE(0, 0);
  const { file: moved } = await ordered(Buffer.concat([start, media, toTheEnd]));
  const at = moved.indexOf('moov') - 4;
  expect(at).toBeLessThan(moved.indexOf('mdat'));
  expect(moved.readUInt32BE(at)).toBe(toTheEnd.length);
  expect(moved.readUInt32BE(moved.indexOf('stco') + 12)).toBe(moved.indexOf('mdat') + 4);
});

test.each([
  ['an index before the media', Buffer.concat([start, index(offsets('stco', 5)), media])],
  ['fragments', Buffer.concat([start, index(), box('moof', Buffer.alloc(4)), media])],
  ['no media at all', Buffer.concat([start, index()])],
])('%s streams as it is', async (_, file) => {
  const result = await ordered(file);
  expect(result.file.equals(file)).toBe(true);
});

describe('the offsets of an index', () => {
  test.each([1, 3, 7, 16, 1_000, 100_000])('are changed wherever it is cut, in pieces of %d bytes', async (bytes) => {
    const by = 3 * 2 ** 32 + 7;
    const from = [0n, 5n, 0xffff_ffffn, 0x1_0000_0000n, 0x1f_ffff_ffffn, 2n ** 53n + 1n, 2n ** 64n - 1n];
    const table = Buffer.alloc(8 + 8 * from.length + 3); // with three bytes behind the offsets
    table.writeUInt32BE(from.length, 4);
    for (const [i, value] of from.entries()) table.writeBigUInt64BE(value, 8 + 8 * i);
    const tracks = index(box('co64', table), offsets('stco', 1, 2), offsets('co64', 9));
    const before = Buffer.from(tracks);
    async function* pieces() {
      for (let at = 0; at < tracks.length; at += bytes) yield tracks.subarray(at, at + bytes);
    }
    const shift = (offset: number) => (offset >= 5 && offset < 2 ** 53 ? offset + by : offset);
    const parts: Uint8Array[] = [];
    for await (const part of shiftedIndex(pieces(), tracks.length, shift)) parts.push(part);
    const to = from.map((value) => (value >= 5n && value < 2n ** 53n ? value + BigInt(by) : value));
    const wanted = Buffer.from(before);
    const first = wanted.indexOf('co64') + 12;
    for (const [i, value] of to.entries()) wanted.writeBigUInt64BE(value, first + 8 * i);
    wanted.writeBigUInt64BE(9n + BigInt(by), wanted.lastIndexOf('co64') + 12);
    expect(Buffer.concat(parts).equals(wanted)).toBe(true);
    // What the store gave is as it was.
    expect(tracks.equals(before)).toBe(true);
  });

  test('are changed in many turns, in which others have theirs, and nothing large is held', async () => {
    const file = Buffer.concat([start, media, index(manyOffsets('co64', 1_000_000))]);
    async function* range({ start, end }: { start: number; end: number }) {
      yield file.subarray(start, end + 1);
    }
    let turns = 0;
    let over = false;
    const others = (async () => {
      for (; !over; turns++) await nextTurn();
    })();
    let size = 0;
    let largest = 0;
    for await (const part of indexFirst(range, file.length)) {
      size += part.length;
      largest = Math.max(largest, part.length);
    }
    over = true;
    await others;
    expect(size).toBe(file.length);
    expect(largest).toBeLessThan(66_000);
    expect(turns).toBeGreaterThan(100);
  });
});

describe('is refused:', () => {
  const size = (file: Buffer, value: number) => {
    file.writeUInt32BE(value, start.length);
    return file;
  };
  test.each([
    ['nothing behind the media', Buffer.concat([start, media]), /no index/],
    ['a file cut in its media', Buffer.concat([start, media]).subarray(0, 30), /"mdat" box reaches beyond its end/],
    ['a box of no size', size(Buffer.concat([start, media, index()]), 3), /"mdat" box/],
    ['boxes without end', Buffer.concat([start, ...Array(2000).fill(box('free')), index()]), /no index/],
    [
      'a table longer than its box',
      Buffer.concat([start, media, index(box('stco', Buffer.from('00000000ffffffff', 'hex')))]),
      /table of offsets is longer/,
    ],
    [
      'an index that is nested too deeply',
      Buffer.concat([
        start,
        media,
        Array.from({ length: 5_000 }).reduce((inner: Buffer) => box('moov', inner), index()),
      ]),
      /nested too deeply/,
    ],
    [
      'an index of more boxes than any file has',
      Buffer.concat([start, media, box('moov', Buffer.alloc(8 * 100_001, box('free')))]),
      /more than 100000 boxes in its index/,
    ],
    [
      'an index of more chunks than any file has, in all tables together',
      Buffer.concat([start, media, index(manyOffsets('stco', 1_000_000), manyOffsets('co64', 1_000_001))]),
      /more than 2000000 chunks in its index/,
    ],
    [
      'a box in the index longer than the index',
      Buffer.concat([start, media, box('moov', Buffer.from('7fffffff7472616b', 'hex'))]),
      /"trak" box/,
    ],
  ])('%s', async (_, file, message) => {
    await expect(ordered(file)).rejects.toMatchObject({
      code: 'INVALID_MEDIA',
      message: expect.stringMatching(message),
    });
  });
});

describe('by ffmpeg', () => {
  test('a real one is read once', async () => {
    const file = encoded(wavFile({ sampleRate: 44_100, seconds: 20 }), 'mp4');
    const { file: moved, read } = await ordered(file);
    expect(file.indexOf('mdat')).toBeLessThan(file.indexOf('moov'));
    expect(moved.indexOf('moov')).toBeLessThan(moved.indexOf('mdat'));
    expect(moved.length).toBe(file.length);
    expect(read - file.length).toBeLessThan(200); // headers of boxes, twice
  });
});
