import { z } from 'zod';
import type { OfKind } from '../definition/refused.js';
import { type Duration, durationMs } from '../duration.js';
import { type Audio, audio, type Image, image, type Video, video } from '../media.js';
import { detection } from './detect.js';
import type { StageKind, StageUse } from './kind.js';
import { type SplitOutput, splitInput, splitOutput } from './split.js';
import { TRAITS } from './traits.js';

const box = z.object({ x: z.number(), y: z.number(), width: z.number(), height: z.number() });
const span = { startMs: z.number().min(0).optional(), endMs: z.number().min(0).optional() };
const anyMedia = z.union([audio(), video(), image()]);
/** Tracks of one call of `mix`. */
const MOST_TRACKS = 16;
/** Boxes of one image. */
const MOST_BOXES = 1_000;

const soundOf = z.object({
  /** ffmpeg's name. */
  codec: z.string(),
  sampleRate: z.int().optional(),
  channels: z.int().optional(),
});
const pictureOf = z.object({
  /** ffmpeg's name. */
  codec: z.string(),
  width: z.int(),
  height: z.int(),
  /** Mean frames per second. Absent for images. */
  frameRate: z.number().optional(),
});

/** Input and output of each operation. */
export const MEDIA_WORK = {
  probe: {
    input: z.object({ media: anyMedia }),
    output: z.object({
      durationMs: z.number().optional(),
      video: pictureOf.optional(),
      audio: soundOf.optional(),
    }),
  },
  frames: {
    input: z.object({ video: video() }),
    output: z.object({ frames: z.array(z.object({ image: image(), atMs: z.number() })) }),
  },
  sound: { input: z.object({ video: video() }), output: z.object({ audio: audio({ encoding: 'wav', channels: 1 }) }) },
  clip: { input: z.object({ video: video(), ...span }), output: z.object({ video: video() }) },
  'clip-audio': {
    input: z.object({ audio: audio(), ...span }),
    output: z.object({ audio: audio({ encoding: 'wav', channels: 1 }) }),
  },
  resize: { input: z.object({ image: image() }), output: z.object({ image: image() }) },
  'resize-video': { input: z.object({ video: video() }), output: z.object({ video: video() }) },
  crop: { input: z.object({ image: image(), box }), output: z.object({ image: image() }) },
  tile: {
    input: z.object({ image: image() }),
    output: z.object({ tiles: z.array(z.object({ image: image(), x: z.int(), y: z.int() })) }),
  },
  boxes: {
    input: z.object({ image: image(), detections: z.array(detection).max(MOST_BOXES) }),
    output: z.object({ image: image() }),
  },
  mix: {
    input: z.object({ audios: z.array(audio()).min(1).max(MOST_TRACKS) }),
    output: z.object({ audio: audio({ encoding: 'wav', channels: 1 }) }),
  },
  mux: { input: z.object({ video: video(), audio: audio() }), output: z.object({ video: video() }) },
  split: { input: splitInput, output: splitOutput },
} as const;

export type MediaWork = keyof typeof MEDIA_WORK;

type Wav = Audio<{ encoding: 'wav'; channels: 1 }>;
type Box = z.output<typeof box>;

/** What a file holds. */
export interface Probed {
  durationMs?: number | undefined;
  video?: z.output<typeof pictureOf> | undefined;
  audio?: z.output<typeof soundOf> | undefined;
}

type Use<I, O> = StageUse<I, O> & OfKind<'media'>;

const use = <I, O>(work: MediaWork, options: Readonly<Record<string, number | string | undefined>>): Use<I, O> => ({
  kind: 'media',
  model: 'media',
  with: {
    work,
    ...Object.fromEntries(Object.entries(options).filter((each): each is [string, number] => each[1] !== undefined)),
  },
  input: MEDIA_WORK[work].input as unknown as z.ZodType<I>,
  output: MEDIA_WORK[work].output as unknown as z.ZodType<O>,
});

/** Size in pixels; with one of the two the proportions stay. */
interface Size {
  readonly width?: number;
  readonly height?: number;
}

/**
 * Processes media in the worker, without a model: images with sharp, audio and video with ffmpeg.
 *
 * ```ts
 * const { frames } = stage('frames', media.frames({ every: '2s', most: 8, width: 640 }), { video: input.clip });
 * ```
 */
export const media = {
  /** Describes a file: its duration, its video and its audio tracks. */
  probe: (): Use<{ media: Audio | Video | Image }, Probed> => use('probe', {}),
  /**
   * Frames as JPEG, from the beginning, `every` so often (default `'2s'`): at most `most` (default 16, at most 100),
   * farther apart in a longer video. `width`: at most that many pixels wide (default 1,280).
   */
  frames: (
    options: { readonly every?: Duration; readonly most?: number; readonly width?: number } = {},
  ): Use<{ video: Video }, { frames: { image: Image; atMs: number }[] }> =>
    use('frames', {
      everyMs: durationMs(options.every ?? '2s', 'media.frames.every'),
      most: options.most ?? 16,
      width: options.width ?? 1_280,
    }),
  /** The first audio track of a video. */
  sound: (): Use<{ video: Video }, { audio: Wav }> => use('sound', {}),
  /** The part of a video from `startMs` (default: its beginning) to `endMs` (default: its end), re-encoded. */
  clip: (): Use<{ video: Video; startMs?: number | undefined; endMs?: number | undefined }, { video: Video }> =>
    use('clip', {}),
  /** The part of a recording from `startMs` (default: its beginning) to `endMs` (default: its end). */
  clipAudio: (): Use<{ audio: Audio; startMs?: number | undefined; endMs?: number | undefined }, { audio: Wav }> =>
    use('clip-audio', {}),
  /** An image of another size. `fit`: `inside` (default) keeps the whole, `cover` cuts off what does not fit. */
  resize: (options: Size & { readonly fit?: 'inside' | 'cover' | 'fill' }): Use<{ image: Image }, { image: Image }> =>
    use('resize', { ...options }),
  /** A video of another size, re-encoded; both sides are rounded to even numbers. */
  resizeVideo: (options: Size): Use<{ video: Video }, { video: Video }> => use('resize-video', { ...options }),
  /** A rectangle of an image, as far as it lies within it. `margin`: added on each side, in pixels. */
  crop: (options: { readonly margin?: number } = {}): Use<{ image: Image; box: Box }, { image: Image }> =>
    use('crop', { ...options }),
  /** Squares of `size` pixels that cover an image, each `overlap` (default 0) pixels within its neighbours. */
  tile: (options: {
    readonly size: number;
    readonly overlap?: number;
  }): Use<{ image: Image }, { tiles: { image: Image; x: number; y: number }[] }> => use('tile', { ...options }),
  /** An image with the boxes of detections, their labels and scores. */
  boxes: (): Use<{ image: Image; detections: readonly z.output<typeof detection>[] }, { image: Image }> =>
    use('boxes', {}),
  /** The sum of recordings that begin together, as long as the longest; louder than full scale is clipped. */
  mix: (): Use<{ audios: readonly Audio[] }, { audio: Wav }> => use('mix', {}),
  /** A video with another sound; it ends with the shorter of the two. */
  mux: (): Use<{ video: Video; audio: Audio }, { video: Video }> => use('mux', {}),
  /** The same as `split()`. */
  split: (options: { readonly longest?: Duration } = {}): Use<{ audio: Audio }, SplitOutput> =>
    use('split', { longestMs: durationMs(options.longest ?? '30s', 'media.split.longest') }),
} as const;

/** Which operation it is, is in the options: each checks its own input and output. */
export const mediaKind: StageKind = {
  input: z.looseObject({}),
  output: z.looseObject({}),
  ...TRAITS.media,
  // A video of an hour is encoded in many minutes.
  policy: { timeout: { attempt: '10m', total: '30m' } },
};
