import type { Sharp } from 'sharp';
import { MillraceError, messageOf } from '../pipelines/errors.js';
import { FairSlots } from '../runtime/fair-slots.js';
import { describeBytes, imageTypeOf, SNIFF_BYTES } from './sniff.js';
import { invalidMedia } from './wav-format.js';

/** A camera's largest images have about this many pixels; decoded they take 150 MB, whatever the file's size is. */
const MOST_PIXELS = 50_000_000;
/** Longest processing of one image, in seconds. */
const LONGEST_SECONDS = 30;
/** Images of a process that are decoded at once: each may take `MOST_PIXELS`. */
const AT_ONCE = 4;
const PLACES = new FairSlots(AT_ONCE, AT_ONCE);

/** Who works on an image. */
export interface ImageCaller {
  /** Tenants take turns. */
  readonly tenant: string;
  readonly signal: AbortSignal;
}

/**
 * Works on an image (PNG, JPEG, WebP or the first frame of a GIF) upright, as its EXIF orientation says. Throws
 * `INVALID_MEDIA` for other files, damaged ones and those of more than 50 million pixels, `CONVERSION_UNAVAILABLE`
 * without sharp, and the signal's reason.
 */
export async function withImage<T>(
  bytes: Uint8Array,
  { tenant, signal }: ImageCaller,
  work: (image: Sharp) => Promise<T>,
): Promise<T> {
  if (imageTypeOf(bytes) === undefined) {
    throw invalidMedia(
      `the file is not a PNG, JPEG, WebP or GIF image: it ${describeBytes(bytes.subarray(0, SNIFF_BYTES))}`,
    );
  }
  const open = await load();
  const leave = await PLACES.acquire(tenant, signal);
  try {
    const image = open(bytes, { limitInputPixels: MOST_PIXELS, autoOrient: true, failOn: 'error' });
    return await work(image.timeout({ seconds: LONGEST_SECONDS }));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof MillraceError) throw error;
    throw invalidMedia(`the image cannot be processed: ${messageOf(error).split('\n')[0]}`);
  } finally {
    leave();
  }
}

type Open = typeof import('sharp')['default'];
let loading: Promise<Open> | undefined;

/** sharp is an optional dependency: its binaries exist for common platforms only. Loaded with the first image. */
function load(): Promise<Open> {
  loading ??= import('sharp').then(
    ({ default: loaded }) => {
      // Images differ from call to call: a cache of them only takes memory.
      loaded.cache(false);
      return loaded;
    },
    (error: unknown) => {
      loading = undefined;
      const message = `images need the package sharp, which cannot be loaded here (${messageOf(error).split('\n')[0]}): npm install sharp`;
      throw new MillraceError('CONVERSION_UNAVAILABLE', message, {}, { cause: error });
    },
  );
  return loading;
}
