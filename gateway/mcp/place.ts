import { z } from 'zod';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { END, isPosition } from '../../runs/follow.js';
import type { Reached } from './serving.js';

const id = z.union([z.string().max(256), z.number().int()]);

const place = z.strictObject({
  /** Id of the request whose response the stream ends with. */
  request: id,
  token: id.optional(),
  run: z.string().min(1).max(256),
  after: z
    .string()
    .refine((given) => isPosition(given) && given !== END)
    .optional(),
  part: z.number().int().min(1).optional(),
  progress: z.number().int().min(0),
});

/** Where a stream of a call can be continued, by any gateway: all of it is in the id of an event. */
export type Place = z.output<typeof place>;

/** Longest id that is parsed: two ids of 256 characters, each written as an escape of six bytes, and the rest, in base64. */
const LONGEST = 6_144;

export const eventId = (given: Reached & Pick<Place, 'request' | 'token'>): string =>
  Buffer.from(JSON.stringify(given)).toString('base64url');

/** The place in `Last-Event-ID`. Throws `INVALID_HEADER`. */
export function placeOf(given: string): Place {
  try {
    if (given.length > LONGEST) throw new Error('too long');
    return place.parse(JSON.parse(Buffer.from(given, 'base64url').toString()));
  } catch {
    const message = 'must be the id of an event of this server';
    throw invalidFields('INVALID_HEADER', [{ field: 'Last-Event-ID', message }]);
  }
}
