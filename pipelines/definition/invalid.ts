import { MillraceError } from '../errors.js';

/** A mistake in a definition. `field` names the stage, and the option of it. */
export const invalid = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_PIPELINE', `"${field}" ${message}`, { fields: [{ field, message }] });
