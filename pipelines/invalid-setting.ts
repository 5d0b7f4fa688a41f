import { type FieldError, MillraceError } from './errors.js';

/**
 * The failure of an invalid setting.
 * @param source the file, or the part of the configuration, that has the field
 */
export const invalidSetting = (field: string, message: string, source?: string): MillraceError =>
  invalidSettings([{ field, message }], source);

/** The same for several fields. Nothing is shortened: only the operator reads the message, who has written what it quotes. */
export function invalidSettings(fields: readonly FieldError[], source?: string): MillraceError {
  const parts = fields.map(({ field, message }) => `${field}: ${message}`).join('; ');
  return new MillraceError('INVALID_SETTING', source === undefined ? parts : `${source}: ${parts}`, { fields });
}
