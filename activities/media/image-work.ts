import type { Sharp } from 'sharp';
import { type FfmpegBench, readWhole, withImage } from '../../media/index.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { FITS, IMAGE_SIDE, MARGIN, TILE } from '../../pipelines/stages/option-bounds.js';
import { artifactIn, type Operation, refuseLarge, store, whole, wholeNumber } from './operation.js';

/** Largest image file that is read. */
const MOST_BYTES = 64 * 1024 * 1024;
/** Most tiles of one image. */
const MOST_TILES = 400;

export const imageBytes = ({ uri }: Artifact, { store: artifacts, tenant, signal }: FfmpegBench): Promise<Uint8Array> =>
  readWhole(artifacts, tenant, uri, { most: MOST_BYTES, limit: 'are read of an image', signal });

/** Makes an image of another; JPEG stays JPEG, everything else becomes PNG. */
export async function imageOf(
  source: Artifact,
  bench: FfmpegBench,
  work: (image: Sharp, size: { readonly width: number; readonly height: number }) => Promise<Sharp> | Sharp,
): Promise<Json> {
  const made = await withImage(await imageBytes(source, bench), bench, async (image) => {
    const { autoOrient } = await image.metadata();
    return encoded(await work(image, autoOrient), source.mime);
  });
  return store(bench, 'image', whole(made));
}

const encoded = (image: Sharp, mime: string): Promise<Buffer> =>
  (mime === 'image/jpeg' ? image.jpeg({ quality: 90 }) : image.png()).toBuffer();

export const resize: Operation = async ({ input, options, bench }) => {
  const [width, height] = [wholeNumber(options, 'width', IMAGE_SIDE), wholeNumber(options, 'height', IMAGE_SIDE)];
  if (width === undefined && height === undefined) throw invalidField('width', 'or height must be given');
  const fit = FITS.find((each) => each === (options.fit ?? 'inside'));
  if (!fit) throw invalidField('fit', `must be one of ${FITS.join(', ')}`);
  const size = { ...(width !== undefined && { width }), ...(height !== undefined && { height }) };
  return {
    image: await imageOf(artifactIn(input, 'image'), bench, (image, source) => {
      refuseLarge('image', { width, height }, source, { side: IMAGE_SIDE.most });
      return image.resize({ ...size, fit });
    }),
  };
};

export const crop: Operation = async ({ input, options, bench }) => {
  const margin = wholeNumber(options, 'margin', MARGIN) ?? 0;
  const box = input.box as JsonObject;
  return {
    image: await imageOf(artifactIn(input, 'image'), bench, (image, source) => {
      const left = Math.max(0, Math.floor(Number(box.x) - margin));
      const top = Math.max(0, Math.floor(Number(box.y) - margin));
      const right = Math.min(source.width, Math.ceil(Number(box.x) + Number(box.width) + margin));
      const bottom = Math.min(source.height, Math.ceil(Number(box.y) + Number(box.height) + margin));
      if (!(left < right && top < bottom))
        throw invalidField('box', `lies outside the image of ${source.width} × ${source.height} pixels`);
      return image.extract({ left, top, width: right - left, height: bottom - top });
    }),
  };
};

export const tile: Operation = async ({ input, options, bench }) => {
  const size = wholeNumber(options, 'size', TILE);
  if (size === undefined) throw invalidField('size', 'is required');
  const overlap = wholeNumber(options, 'overlap', { least: 0, most: size - 1 }) ?? 0;
  const source = artifactIn(input, 'image');
  const made = await withImage(await imageBytes(source, bench), bench, async (image) => {
    const { autoOrient } = await image.metadata();
    const [lefts, tops] = [autoOrient.width, autoOrient.height].map((side) => starts(side, size, size - overlap));
    if (!lefts || !tops || lefts.length * tops.length > MOST_TILES)
      throw invalidField('size', `makes more than ${MOST_TILES} tiles of this image; make it larger`);
    // Decoded once: each tile would otherwise decode the whole image.
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    const { default: open } = await import('sharp');
    const tiles: { readonly bytes: Buffer; readonly x: number; readonly y: number }[] = [];
    for (const y of tops) {
      for (const x of lefts) {
        bench.signal.throwIfAborted();
        const part = open(data, { raw: { width: info.width, height: info.height, channels: info.channels } }).extract({
          left: x,
          top: y,
          width: Math.min(size, info.width - x),
          height: Math.min(size, info.height - y),
        });
        tiles.push({ bytes: await encoded(part, source.mime), x, y });
      }
    }
    return tiles;
  });
  const tiles: Json[] = [];
  for (const { bytes, x, y } of made) tiles.push({ image: await store(bench, 'image', whole(bytes)), x, y });
  return { tiles };
};

/** Where tiles begin on one side; the last one ends with the image. */
function starts(side: number, size: number, step: number): number[] {
  if (side <= size) return [0];
  const count = Math.ceil((side - size) / step) + 1;
  return count > MOST_TILES
    ? Array(count).fill(0)
    : Array.from({ length: count }, (_, i) => Math.min(i * step, side - size));
}
