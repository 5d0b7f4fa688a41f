import { type ImageCaller, withImage } from './sharp.js';

/** How an image becomes pixels. */
export interface PixelFormat {
  /** Size in pixels; absent: the image's own, or by its proportions. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  /** Greatest side where neither is given: a larger image is made smaller, a smaller one stays as it is. */
  readonly longest?: number | undefined;
  /** `fill` distorts; `contain` keeps the whole image, centred in a margin; `cover` cuts off what is too wide or high. */
  readonly fit?: 'fill' | 'contain' | 'cover' | undefined;
  /** Value of the margin, 0 to 255. */
  readonly pad?: number | undefined;
  readonly colors?: 'rgb' | 'gray' | undefined;
}

/** Pixels row by row, channels interleaved, a byte each. */
export interface Pixels {
  readonly data: Buffer;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** Size of the image as it was. */
  readonly source: { readonly width: number; readonly height: number };
  /** A point of the pixels is at `(x − left) ÷ across`, `(y − top) ÷ down` in the source. */
  readonly placed: { readonly left: number; readonly top: number; readonly across: number; readonly down: number };
}

const WHITE = '#ffffff';

/**
 * Decodes an image in a thread of its own; what is transparent becomes white. Throws as `withImage` does.
 */
export const decodeImage = (bytes: Uint8Array, format: PixelFormat, caller: ImageCaller): Promise<Pixels> =>
  withImage(bytes, caller, async (image) => {
    const { fit = 'fill', pad = 0, colors = 'rgb' } = format;
    const { autoOrient: source } = await image.metadata();
    const size = sizeOf(format, source);
    const { data, info } = await image
      .flatten({ background: WHITE })
      .toColourspace(colors === 'gray' ? 'b-w' : 'srgb')
      .resize({ ...size, fit, background: { r: pad, g: pad, b: pad }, kernel: 'linear' })
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return {
      data,
      ...size,
      channels: info.channels === 1 ? 1 : 3,
      source: { width: source.width, height: source.height },
      placed: placement(source, size, fit),
    };
  });

function sizeOf({ width, height, longest }: PixelFormat, source: { width: number; height: number }) {
  if (width !== undefined && height !== undefined) return { width, height };
  if (width !== undefined) return { width, height: Math.max(1, Math.round((source.height * width) / source.width)) };
  if (height !== undefined) return { width: Math.max(1, Math.round((source.width * height) / source.height)), height };
  const by = Math.min(1, (longest ?? Number.POSITIVE_INFINITY) / Math.max(source.width, source.height));
  return { width: Math.max(1, Math.round(source.width * by)), height: Math.max(1, Math.round(source.height * by)) };
}

function placement(
  source: { readonly width: number; readonly height: number },
  size: { readonly width: number; readonly height: number },
  fit: 'fill' | 'contain' | 'cover',
): Pixels['placed'] {
  const [across, down] = [size.width / source.width, size.height / source.height];
  if (fit === 'fill') return { left: 0, top: 0, across, down };
  const one = fit === 'contain' ? Math.min(across, down) : Math.max(across, down);
  const [width, height] = [Math.round(source.width * one), Math.round(source.height * one)];
  return {
    left: Math.floor((size.width - width) / 2),
    top: Math.floor((size.height - height) / 2),
    across: one,
    down: one,
  };
}
