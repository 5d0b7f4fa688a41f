import { didYouMean } from '../did-you-mean.js';
import { MillraceError } from '../errors.js';

/** An error in a definition. `field` names the stage and its option. */
export const invalid = (field: string, message: string): MillraceError =>
  new MillraceError('INVALID_PIPELINE', `"${field}" ${message}`, { fields: [{ field, message }] });

/** An option that does not exist, such as a misspelled one, which would otherwise be ignored silently. */
export const unknownOption = (where: string, option: string, known: readonly string[]): MillraceError =>
  invalid(
    where === '' ? option : `${where}.${option}`,
    `is not an option; the options are ${known.join(', ')}${didYouMean(option, known)}`,
  );
