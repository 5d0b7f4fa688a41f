import { z } from 'zod';
import { type Audio, audio, file, type Image, image, type MediaFile, type Video, video } from '../media.js';

/** Most parts of a message. */
const MOST_PARTS = 100;
/** Longest name of a file, in characters. */
const LONGEST_NAME = 255;

export const contentPart = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string() }),
  z.object({
    type: z.literal('image'),
    image: image(),
    /** Resolution at which the model processes the image, if the server supports a choice. */
    detail: z.enum(['auto', 'low', 'high']).optional(),
  }),
  z.object({ type: z.literal('audio'), audio: audio() }),
  z.object({ type: z.literal('video'), video: video() }),
  z.object({ type: z.literal('file'), file: file(), name: z.string().min(1).max(LONGEST_NAME).optional() }),
]);

/** Parts of a message after its text, in order. */
export const contentParts = z.array(contentPart).max(MOST_PARTS);

/** A part of a message: text, or media by reference. */
export type ContentPart =
  | { type: 'text'; text: string }
  | {
      type: 'image';
      image: Image;
      /** Resolution at which the model processes the image, if the server supports a choice. */
      detail?: 'auto' | 'low' | 'high' | undefined;
    }
  | { type: 'audio'; audio: Audio }
  | { type: 'video'; video: Video }
  | { type: 'file'; file: MediaFile; name?: string | undefined };
