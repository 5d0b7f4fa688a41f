import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
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

  it('are refused above the length', () => {
    expect(() => filledBy([Buffer.alloc(3), Buffer.alloc(2)], 4)).toThrow(RangeError);
  });
});
