import { MillraceError } from '../errors.js';

/** An error in a definition. `field` names the stage and its option. */
export const invalid = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_PIPELINE', `"${field}" ${message}`, { fields: [{ field, message }] });
