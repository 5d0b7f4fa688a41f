/**
 * Bounds of options. A definition outside of them is refused when it is loaded; the worker checks them too, since a plan can have been
 * written by other means.
 */

/** From `least` to `most`, both included. */
export interface Bounds {
  readonly least: number;
  readonly most: number;
}

/** `longest` of `split`, in milliseconds: a second leaves room to look for silence, ten minutes at 48 kHz are 58 MB. */
export const LONGEST_PART_MS: Bounds = { least: 1_000, most: 600_000 };
/** What is said of one outside of them. */
export const LONGEST_PART = `must be between ${LONGEST_PART_MS.least / 1_000} and ${LONGEST_PART_MS.most / 1_000} seconds`;

/** A side of an image that is made, in pixels. */
export const IMAGE_SIDE: Bounds = { least: 1, most: 8_192 };
/** A side of a video that is made, in pixels: H.264 with 4:2:0 colour has even sides only. */
export const VIDEO_SIDE: Bounds = { least: 2, most: 4_096 };
/** Most pixels of a frame that is read or made, 4096 × 2304: DCI 4K and UHD. A decoder may hold 17 frames, at 14 MB each. */
export const MOST_FRAME_PIXELS = 9_437_184;

/** Options of `media.frames`. */
export const FRAMES = {
  most: { least: 1, most: 100 },
  /** In pixels. */
  width: { least: 16, most: VIDEO_SIDE.most },
  everyMs: { least: 1, most: 24 * 3_600_000 },
} as const satisfies Readonly<Record<string, Bounds>>;

/** `size` of `media.tile`, in pixels. The overlap is smaller than it. */
export const TILE: Bounds = { least: 16, most: IMAGE_SIDE.most };
/** `margin` of `media.crop`, in pixels. */
export const MARGIN: Bounds = { least: 0, most: IMAGE_SIDE.most };
/** How an image fits into its new size. */
export const FITS = ['inside', 'cover', 'fill'] as const;

/** The language of speech. */
export const LANGUAGE = /^[a-z]{2,3}(-[A-Za-z]{2,4})?$/;
/** What is said of one that is none. */
export const A_LANGUAGE = 'must be a language code such as de';
/** `speed` of a voice: the bounds of OpenAI's API. */
export const SPEED: Bounds = { least: 0.25, most: 4 };
/** Texts that tell a recogniser or a voice how, in UTF-16 units: the limit of OpenAI's API for instructions. */
export const LONGEST_INSTRUCTIONS = 4_096;
/** Name of a voice, in UTF-16 units. */
export const LONGEST_VOICE = 256;

/** Limit of passages of one search: more than any model's context holds, and the result still fits into a history. */
export const MOST_RETRIEVED = 1_000;
