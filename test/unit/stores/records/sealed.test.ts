import { expect, test } from 'vitest';
import { opened, sealed } from '../../../../stores/records/sealed.js';

const TEXT = JSON.stringify({ text: 'Grüße an Ada 🎧 '.repeat(2_000) });
const bytesOf = ({ parts }: ReturnType<typeof sealed>) => Buffer.concat(parts);
const flipped = (bytes: Buffer, at: number) => Buffer.from(bytes.map((byte, i) => (i === at ? byte ^ 1 : byte)));

test('a sealed text is opened with its key and under its name alone', () => {
  const one = sealed(TEXT, 'a');
  const bytes = bytesOf(one);
  expect(bytes.length).toBe(12 + Buffer.byteLength(TEXT) + 16);
  expect(bytes.toString('latin1')).not.toContain('Ada');
  expect(opened(bytes, one.key, 'a')).toBe(TEXT);
  expect(opened(bytes, one.key, 'b')).toBeUndefined();
  for (const key of [sealed(TEXT, 'a').key, '', 'AAAA']) expect(opened(bytes, key, 'a')).toBeUndefined();
});

test('a text that is sealed twice has two keys, two nonces and two ciphertexts', () => {
  const [one, two] = [sealed(TEXT, 'a'), sealed(TEXT, 'a')];
  expect(Buffer.from(one.key, 'base64')).toHaveLength(32);
  expect(one.key).not.toBe(two.key);
  for (const [i, part] of one.parts.entries()) expect(part).not.toEqual(two.parts[i]);
});

test('nothing is opened of bytes that have been changed, cut off or lengthened', () => {
  const one = sealed(TEXT, 'a');
  const bytes = bytesOf(one);
  const changed = [
    ...[0, 11, 12, 5_000, bytes.length - 17, bytes.length - 16, bytes.length - 1].map((at) => flipped(bytes, at)),
    ...[0, 1, 27, 28, 29, bytes.length - 1].map((end) => bytes.subarray(0, end)),
    Buffer.concat([bytes, Buffer.alloc(1)]),
  ];
  for (const each of changed) expect(opened(each, one.key, 'a')).toBeUndefined();
});

test('a text of megabytes, and an empty one', () => {
  for (const text of ['', '語'.repeat(1_000_000)]) {
    const one = sealed(text, 'a');
    expect(opened(bytesOf(one), one.key, 'a') === text).toBe(true);
  }
});
