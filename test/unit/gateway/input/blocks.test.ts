import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Blocks } from '../../../../gateway/input/blocks.js';

const KIBIBYTE = 1024;

/** Bytes that some blocks take, also where they are not filled. */
const reserved = (blocks: readonly Buffer[]) => blocks.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);

describe('bytes of a client', () => {
  it.each([
    ['a million pieces of a byte', 1_000_000, 1],
    ['pieces of an odd size', 1_000, 1_237],
    ['reads', 64, 64 * KIBIBYTE],
    ['pieces above a block', 3, 300_001],
    ['one', 1, 5],
    ['none', 0, 0],
  ])('are in few blocks, of no more than twice their number: %s', (_, count, bytes) => {
    const sent = randomBytes(count * bytes);
    const blocks = new Blocks();
    for (let at = 0; at < sent.length; at += bytes) blocks.push(sent.subarray(at, at + bytes));
    expect(blocks.size).toBe(sent.length);
    const taken = blocks.take();
    expect(Buffer.concat(taken).equals(sent)).toBe(true);
    expect(taken.length).toBeLessThanOrEqual(sent.length / (64 * KIBIBYTE) + 12);
    expect(reserved(taken)).toBeLessThanOrEqual(2 * sent.length + KIBIBYTE);
    expect([blocks.size, blocks.take()]).toEqual([0, []]);
  });

  it.each([
    [5, 5],
    [1_000, 1],
    [3_000, 5],
    [500_000, 999],
  ])('take no more than they are where their number is known: %d', (length, bytes) => {
    const sent = randomBytes(length);
    const blocks = new Blocks(length);
    for (let at = 0; at < length; at += bytes) blocks.push(sent.subarray(at, at + bytes));
    const taken = blocks.take();
    expect(Buffer.concat(taken).equals(sent)).toBe(true);
    expect(reserved(taken)).toBe(length);
  });

  it('are copied as they come: nothing is kept of a piece', () => {
    const blocks = new Blocks();
    const piece = Buffer.alloc(3);
    for (let i = 0; i < 100; i++) blocks.push(piece.fill(i));
    const whole = Buffer.concat(blocks.take());
    expect(Array.from({ length: 100 }, (_, i) => whole[3 * i + 1])).toEqual(Array.from({ length: 100 }, (_, i) => i));
  });
});
