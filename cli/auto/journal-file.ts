import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { EMPTY, type Journal, journalSchema } from '../../placement/auto/index.js';

/**
 * The journal of automatic changes; an empty one if there is no file. Throws `INVALID_PLACEMENT` if it cannot be understood: whether a
 * change has ended is not known then, and nothing may be changed.
 */
export function readJournal(file: string): Journal {
  try {
    return journalSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
    const why = error instanceof z.ZodError ? z.prettifyError(error) : messageOf(error);
    const message = `is not the journal of "millrace replan --auto" (${why}): see which placement is to serve, apply it, and remove the file`;
    throw new MillraceError('INVALID_PLACEMENT', `${file}: ${message}`, { fields: [{ field: file, message }] });
  }
}
