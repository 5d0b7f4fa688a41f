import { z } from 'zod';
import { type Stream, stream } from '../stream.js';

/** What a function yields, one by one. */
export interface Yielded<T> {
  /** All of it, when the stage has ended. */
  items: T[];
  /** The same as a stream. */
  entries: Stream<T>;
}

/** What a function that yields gives when it has ended. */
export const itemsOf = <T>(entry: z.ZodType<T>) => z.object({ items: z.array(entry) });

/** The output of its stage: what it gives, and the stream that is derived from it. */
export const yieldedOf = <T>(entry: z.ZodType<T>): z.ZodType<Yielded<T>> =>
  itemsOf(entry).extend({ entries: stream('entries', 'items', entry) }) as unknown as z.ZodType<Yielded<T>>;
