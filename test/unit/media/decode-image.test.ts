import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage } from '../../../media/index.js';

const caller = { tenant: 'acme', signal: new AbortController().signal };
const image = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#fff' } })
    .png()
    .toBuffer();

describe('pixels of an image whose size is left open', () => {
  it('are its own, and fewer where a side is longer than the longest', async () => {
    const wide = await image(400, 100);
    expect(await decodeImage(wide, {}, caller)).toMatchObject({ width: 400, height: 100 });
    expect(await decodeImage(wide, { longest: 400 }, caller)).toMatchObject({ width: 400, height: 100 });
    expect(await decodeImage(wide, { longest: 100 }, caller)).toMatchObject({
      width: 100,
      height: 25,
      source: { width: 400, height: 100 },
      placed: { left: 0, top: 0, across: 0.25, down: 0.25 },
    });
  });

  it('are at least one on each side', async () => {
    expect(await decodeImage(await image(2, 900), { longest: 90 }, caller)).toMatchObject({ width: 1, height: 90 });
  });
});
