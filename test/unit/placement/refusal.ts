import type { FieldError } from '../../../pipelines/errors.js';
import { MillraceError } from '../../../pipelines/errors.js';

/** The code of what a function throws, and its fields as `field: message`. */
export function refusal(run: () => unknown): { readonly code: string; readonly fields: readonly string[] } {
  try {
    run();
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    const spell = ({ field, message }: FieldError) => `${field}: ${message}`;
    return { code: error.code, fields: (error.details.fields ?? []).map(spell) };
  }
  throw new Error('it was not refused');
}
