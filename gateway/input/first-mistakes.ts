import type { z } from 'zod';
import { MOST_FIELDS } from '../../pipelines/invalid-fields.js';

type Checked<T> =
  | { readonly data: T; readonly issues?: never }
  | { readonly data?: never; readonly issues: readonly z.core.$ZodIssue[] };

/**
 * As `safeParse`, with texts for the first issues, as many as a refusal names. Zod makes one for each mistake of each alternative, which takes
 * several times as long as the check.
 */
export function checkedInput<S extends z.ZodType>(schema: S, value: unknown): Checked<z.output<S>> {
  let texts = 0;
  const parsed = schema.safeParse(value, { error: () => (texts-- > 0 ? undefined : '') });
  if (parsed.success) return { data: parsed.data };
  texts = MOST_FIELDS;
  // Here Zod makes the texts of the issues themselves, from 4.6 on; before, it has made them with those of the alternatives.
  const { issues } = parsed.error;
  if (issues.slice(0, MOST_FIELDS).every(({ message }) => message !== '')) return { issues };
  const { error } = schema.safeParse(value);
  return { issues: error?.issues ?? issues };
}
