import { randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { Filling } from '../../../../gateway/input/filling.js';

const MEBIBYTE = 1024 * 1024;

function filledBy(pieces: readonly Buffer[], length: number): Filling {
  const filling = new Filling(length);
  for (const piece of pieces) filling.push(piece);
  return filling;
}

describe('bytes of a known length', () => {
  it.each([
    ['few', 3, 1_000],
    ['none', 0, 0],
    ['many, of which a part comes before the place for all', 256, 65_536],
    ['many at once', 1, 4 * MEBIBYTE],
  ])('are one buffer: %s', (_, count, bytes) => {
    const pieces = Array.from({ length: count }, () => randomBytes(bytes));
    const filling = filledBy(pieces, count * bytes);
    expect(filling.left).toBe(0);
    expect(filling.whole().equals(Buffer.concat(pieces))).toBe(true);
  });

  it('reserve no memory where they are announced and do not come', () => {
    const before = process.memoryUsage().arrayBuffers;
    const waiting = Array.from({ length: 64 }, () => filledBy([Buffer.alloc(1)], 64 * MEBIBYTE));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(MEBIBYTE);
    expect(waiting.map(({ left }) => left)).toContain(64 * MEBIBYTE - 1);
  });

  it('are never copied many at once', () => {
    const copy = vi.spyOn(Buffer.prototype, 'copy');
    const copied = () => {
      const bytes = copy.mock.contexts.reduce<number>((sum, piece) => sum + (piece as Buffer).length, 0);
      copy.mockClear();
      return bytes;
    };
    const filling = new Filling(64 * MEBIBYTE);
    const most: number[] = [];
    for (let i = 0; i < 1_024; i++) {
      filling.push(Buffer.alloc(64 * 1_024, i));
      most.push(copied());
    }
    const whole = filling.whole();
    expect(copied()).toBe(0);
    copy.mockRestore();
    expect(Math.max(...most)).toBe(128 * 1_024);
    for (let i = 0; i < 1_024; i++) expect([i, whole[i * 64 * 1_024]]).toEqual([i, i % 256]);
  });

  it.each([300_000, 2 * MEBIBYTE])('are copied as they come, %d one by one', (length) => {
    const filling = new Filling(length);
    const piece = Buffer.alloc(1);
    for (let i = 0; i < length; i++) filling.push(piece.fill(i % 251));
    const sent = Buffer.from(Array.from({ length }, (_, i) => i % 251));
    expect(filling.whole().equals(sent)).toBe(true);
  });

  it.each([5, 6, 1_500, 4_000, 300_000, 2 * MEBIBYTE])('are a buffer that holds nothing else: of %d', (length) => {
    const sent = randomBytes(length);
    const whole = filledBy([sent.subarray(0, 5), sent.subarray(5)], length).whole();
    expect(whole.equals(sent)).toBe(true);
    expect(whole.buffer.byteLength).toBe(length);
  });

  it('are refused above the length', () => {
    expect(() => filledBy([Buffer.alloc(3), Buffer.alloc(2)], 4)).toThrow(RangeError);
  });
});
